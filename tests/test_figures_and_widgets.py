"""Figures say what they show, and widgets work on a page without a kernel."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from ipywidgets import HTML, Accordion, FileUpload, Image, IntSlider
from PIL import Image as Picture

from course_utils import History
from course_utils.show.plots import plot_confusion, plot_history, plot_pictures, plot_scores, plot_scores_by
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


@pytest.mark.parametrize("version", [7, 8])
def test_a_picture_of_ones_own_is_answered_or_the_error_shown(version):
    def upload(content):
        files = {"name": "mine.png", "content": memoryview(content)}
        return {"new": {"mine.png": files} if version == 7 else (files,)}

    widget = try_it(lambda picture: f"{picture.width}×{picture.height}", [Picture.new("RGB", (20, 10))] * 2)
    button, result, _, shelf = widget.children
    assert isinstance(button, FileUpload) and result.value == "20×10"
    assert [child.children[1].value for child in shelf.children] == ["20×10"] * 2
    assert bytes(shelf.children[1].children[0].value).startswith(b"\x89PNG") and shelf.get_title(1) == "example 2"
    (show,) = button._trait_notifiers["value"]["change"]
    content = io.BytesIO()
    Picture.new("L", (30, 40)).save(content, "PNG")
    show(upload(content.getvalue()))
    assert result.value == "30×40"
    show(upload(b"<b>none</b>"))
    assert result.value.startswith("PictureError: The picture will not decode (it is no picture)")
    show({"new": {} if version == 7 else ()})
    assert result.value.startswith("PictureError")


def test_each_example_of_a_text_opens_to_its_own_answer():
    shelf = try_it(str.upper, ["<a>", "b"]).children[3]
    assert [shelf.get_title(i) for i in range(2)] == ["<a>", "b"]
    assert [child.value for child in shelf.children] == ["<A>", "B"]


def test_nothing_to_flip_through_or_to_try_is_refused():
    with pytest.raises(ValueError, match="give at least one page"):
        flip_through({})
    with pytest.raises(ValueError, match="give at least one example"):
        try_it(str, [])


def test_a_title_is_shown_as_it_is_written():
    _, book = flip_through({"a<b> & c": "text", "other": "more"}).children
    assert book.children[0].children[0].value == "<b>a&lt;b&gt; &amp; c</b>" and book.get_title(0) == "a<b> & c"


def test_a_figure_and_a_picture_are_stored_as_they_are():
    figure, ax = plt.subplots(figsize=(2, 1))
    ax.axis("off")
    _, book = flip_through({"figure": figure, "picture": Picture.new("RGB", (8, 6), "red")}, width=200).children
    drawn, picture = (Picture.open(io.BytesIO(bytes(page.children[1].value))) for page in book.children)
    assert drawn.size == (200, 100) and picture.size == (8, 6) and picture.getpixel((3, 3)) == (255, 0, 0)
    assert book.children[0].children[1].layout.width == "200px"


def test_pictures_stand_in_rows_with_their_titles():
    figure = plot_pictures([np.zeros((4, 4, 3))] * 5, list("abcde"), columns=4)
    assert [ax.get_title() for ax in figure.axes] == ["a", "b", "c", "d", "e", "", "", ""]
    assert not any(ax.axison for ax in figure.axes)
    plt.close(figure)


@pytest.mark.parametrize(
    ("grey", "white"),
    [
        (Picture.new("L", (4, 4), 51), 255),
        (np.full((4, 4), 0.2), 1),
        (np.full((4, 4), 51, np.int64), 255),
        (np.full((4, 4), 13107, np.uint16), 65535),
    ],
)
def test_grey_pictures_are_drawn_in_grey_from_black_to_white(grey, white):
    figure = plot_pictures([grey])
    (image,) = figure.axes[0].images
    assert np.allclose(image.to_rgba(image.get_array())[0, 0], [0.2, 0.2, 0.2, 1], atol=0.003)
    assert image.get_clim() == (0, white)
    plt.close(figure)


def test_a_picture_in_few_colours_keeps_them():
    figure = plot_pictures([Picture.new("RGB", (4, 4), "red").quantize(8)])
    assert figure.axes[0].images[0].get_array()[0, 0].tolist()[:3] == [255, 0, 0]
    plt.close(figure)


@pytest.mark.parametrize(("pictures", "titles"), [(0, ()), (2, ["one"]), (1, ["one", "two"])])
def test_pictures_and_titles_of_unequal_number_are_refused(pictures, titles):
    with pytest.raises(ValueError, match="give pictures, and one title each or none"):
        plot_pictures([np.zeros((4, 4))] * pictures, titles)


def test_scores_of_several_seeds_are_drawn_as_means_with_their_spread():
    scores = {"pretrained": [[0.6, 0.8], [0.9, 0.9]], "random": [[0.2], [0.4]]}
    figure = plot_scores_by([5, 20], scores, label="labels", chance=0.1)
    (ax,) = figure.axes
    bars = ax.containers
    assert [list(bar.lines[0].get_ydata()) for bar in bars] == [[0.7, 0.9], [0.2, 0.4]]
    assert [list(bar.lines[0].get_xdata()) for bar in bars] == [[5, 20], [5, 20]]
    # one standard deviation of the sample on either side; of a single seed none
    ends = [[segment[:, 1].tolist() for segment in bar.lines[2][0].get_segments()] for bar in bars]
    assert np.allclose(ends[0], [[0.7 - 0.02**0.5, 0.7 + 0.02**0.5], [0.9, 0.9]])
    assert np.allclose(ends[1], [[0.2, 0.2], [0.4, 0.4]])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["5", "20"]
    assert (ax.get_xscale(), ax.get_xlabel(), ax.get_ylim()) == ("log", "labels", (0, 1))
    assert list(ax.lines[-1].get_ydata()) == [0.1, 0.1]
    assert names_in(ax.get_legend()) == ["pretrained", "random", "chance, 0.10"]
    plt.close(figure)


def names_in(legend):
    return [text.get_text() for text in legend.get_texts()]


def shown(name):
    """What matplotlib draws for a text: without its formulas, and dollars as they are."""
    text = plt.Text(text=name)
    written, is_formula = text._preprocess_math(text.get_text())
    assert not is_formula
    return written


NAMES = ["$5 or $6", "_hidden", "<b>", "a", "b", "c", "d"]


def test_every_curve_is_drawn_under_its_name_whatever_that_is():
    figure = plot_scores_by([1, 2], {name: [[i / 10], [i / 10]] for i, name in enumerate(NAMES)}, label="labels")
    (ax,) = figure.axes
    assert [shown(name) for name in names_in(ax.get_legend())] == NAMES
    assert [bar.lines[0].get_ydata()[0] for bar in ax.containers] == [i / 10 for i in range(7)]
    plt.close(figure)


def test_scores_are_bars_from_top_to_bottom_with_their_values():
    figure = plot_scores({"$a$": 0.25, "_b": 0.75}, chance=0.5, label="F1")
    (ax,) = figure.axes
    assert [bar.get_width() for bar in ax.patches] == [0.25, 0.75]
    assert [shown(text.get_text()) for text in ax.get_yticklabels()] == ["$a$", "_b"]
    assert ax.patches[0].get_y() < ax.patches[1].get_y() and ax.yaxis_inverted()
    assert [text.get_text() for text in ax.texts] == ["0.25", "0.75"]
    assert (ax.get_xlabel(), ax.get_xlim()) == ("F1", (0, 1.05))
    assert list(ax.lines[0].get_xdata()) == [0.5, 0.5] and names_in(ax.get_legend()) == ["chance, 0.50"]
    assert len({bar.get_facecolor() for bar in ax.patches}) == 2
    plt.close(figure)
    figure = plot_scores({"one": 0.5})
    assert not figure.axes[0].lines and figure.axes[0].get_xlabel() == "test accuracy"
    plt.close(figure)


def test_a_confusion_matrix_has_the_truth_in_rows_and_the_answers_in_columns():
    figure = plot_confusion([[7, 1], [2, 5]], ["$cat$", "dog"])
    (ax,) = figure.axes
    found = {(round(text.get_position()[1]), round(text.get_position()[0])): text.get_text() for text in ax.texts}
    assert found == {(0, 0): "7", (0, 1): "1", (1, 0): "2", (1, 1): "5"}
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("True label", "Predicted label")
    for labels in (ax.get_xticklabels(), ax.get_yticklabels()):
        assert [shown(text.get_text()) for text in labels] == ["$cat$", "dog"]
    plt.close(figure)


def test_a_history_is_drawn_as_losses_and_validation_accuracy_by_epoch():
    rows = [{"epoch": e, "loss": 1 / e, "validation_loss": 2 / e, "validation_accuracy": e / 4} for e in (1, 2, 3)]
    figure = plot_history(History(rows))
    losses, accuracy = figure.axes
    assert [list(line.get_ydata()) for line in losses.lines] == [[1, 1 / 2, 1 / 3], [2, 1, 2 / 3]]
    assert [list(line.get_xdata()) for line in losses.lines] == [[1, 2, 3]] * 2
    assert names_in(losses.get_legend()) == ["training", "validation"] and losses.get_ylim()[0] == 0
    assert list(accuracy.lines[0].get_ydata()) == [0.25, 0.5, 0.75] and accuracy.get_ylim() == (0, 1)
    assert "nats" in losses.get_ylabel() and accuracy.get_ylabel() == "validation accuracy"
    assert all(ax.get_xlabel() == "epoch" for ax in figure.axes)
    assert all(tick == int(tick) for ax in figure.axes for tick in ax.get_xticks())
    plt.close(figure)
    figure = plot_history(History([{"epoch": 1, "loss": 0.5}]))
    assert len(figure.axes) == 1 and figure.axes[0].get_legend() is None
    plt.close(figure)
    with pytest.raises(ValueError, match="this history has no epoch"):
        plot_history(History())
