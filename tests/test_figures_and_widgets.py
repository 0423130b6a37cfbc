"""Figures say what they show, and widgets work on a page without a kernel."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from ipywidgets import HTML, Accordion, Image, IntSlider
from PIL import Image as Picture

from course_utils.show.plots import plot_pictures, plot_scores_by
from course_utils.show.widgets import flip_through, try_it


def test_pictures_are_flipped_by_the_browser_itself():
    figure = plt.figure(figsize=(1, 1))
    box = flip_through({"a picture": Picture.new("RGB", (8, 8), "red"), "a figure": figure, "a text": "<b>so</b>"})
    slider, book = box.children
    assert isinstance(slider, IntSlider) and isinstance(book, Accordion) and slider.max == 2
    assert box.link.source == (slider, "value") and box.link.target == (book, "selected_index")
    assert [book.get_title(i) for i in range(3)] == ["a picture", "a figure", "a text"] and book.selected_index == 0
    *shown, text = [page.children[-1] for page in book.children]
    assert isinstance(text, HTML) and text.value == "<b>so</b>"
    assert all(isinstance(image, Image) and bytes(image.value).startswith(b"\x89PNG") for image in shown)
    assert not plt.fignum_exists(figure.number)


def test_a_typed_text_is_answered_or_the_error_shown():
    widget = try_it(lambda text: str(len(text) // (text != "<0>")), ["four"])
    field, result = widget.children[:2]
    assert result.value == "4"
    field.value = "seven!!"
    assert result.value == "7"
    field.value = "<0>"
    assert result.value.startswith("ZeroDivisionError") and "<0>" not in result.value
    field.value = "  "
    assert result.value.startswith("ZeroDivisionError")


def test_nothing_to_flip_through_is_refused():
    with pytest.raises(ValueError, match="give at least one page"):
        flip_through({})


def test_pictures_stand_in_rows_with_their_titles():
    figure = plot_pictures([np.zeros((4, 4, 3))] * 5, list("abcde"), columns=4)
    assert [ax.get_title() for ax in figure.axes] == ["a", "b", "c", "d", "e", "", "", ""]
    assert not any(ax.axison for ax in figure.axes)
    plt.close(figure)


def test_scores_of_several_seeds_are_drawn_as_means_with_their_spread():
    figure = plot_scores_by([5, 20], {"pretrained": [[0.6, 0.8], [0.9, 0.9]], "random": [[0.2], [0.4]]}, label="labels")
    bars = figure.axes[0].containers
    assert [list(bar.lines[0].get_ydata()) for bar in bars] == [[0.7, 0.9], [0.2, 0.4]]
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["5", "20"]
    plt.close(figure)
