"""Widgets that also show something on the static page, where there is no kernel. They use core ipywidgets (7.7 on)."""

import html
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
from matplotlib.figure import Figure
from PIL import Image

from course_utils.pictures import read_picture


def try_it(answer: Callable[[Any], str], examples: Sequence[str] | Sequence[Image.Image]) -> ipywidgets.VBox:
    """A field for one's own text, or a button for a picture, above examples whose answers are stored with the page.

    Args:
        answer: text, or PIL picture in RGB → what to show for it, as HTML.
        examples: texts, or PIL pictures, to answer at once; each opens with a click, without a kernel too.

    Returns:
        The widget; as a cell's last expression it is displayed.
    """
    if not examples:
        raise ValueError("There is nothing to try: give at least one example.")
    of_texts = isinstance(examples[0], str)
    if of_texts:
        field = ipywidgets.Text(
            value=examples[0], placeholder="type a sentence and press Enter", continuous_update=False,
            layout=ipywidgets.Layout(width="98%"),
        )  # fmt: skip
    else:
        field = ipywidgets.FileUpload(accept="image/*", multiple=False, description="A picture")
    result = ipywidgets.HTML(answer(examples[0]))

    def show(change):
        given = change["new"] if of_texts else _uploaded(change["new"])
        if not given or not given.strip():
            return
        try:
            result.value = answer(given if of_texts else read_picture(given))
        except Exception as error:  # a widget's errors are not shown: the old answer would stay under the new text
            result.value = f"{type(error).__name__}: {html.escape(str(error))}"

    field.observe(show, names="value")
    layout = ipywidgets.Layout(width="160px")
    shelf = ipywidgets.Accordion([
        ipywidgets.HTML(answer(example)) if of_texts
        else ipywidgets.VBox([_page(example, layout), ipywidgets.HTML(answer(example))])
        for example in examples
    ])  # fmt: skip
    for i, example in enumerate(examples):
        shelf.set_title(i, example if of_texts else f"example {i + 1}")
    note = ipywidgets.HTML(
        f"<small>The {'field' if of_texts else 'button'} needs a running kernel; the examples below open without one."
        "</small>"
    )
    return ipywidgets.VBox([field, result, note, shelf])


def _uploaded(files) -> bytes:
    """What a FileUpload holds: a dict by name in ipywidgets 7, which Colab has, and a tuple from 8 on."""
    files = list(files.values()) if isinstance(files, Mapping) else list(files)
    return bytes(files[-1]["content"]) if files else b""


def flip_through(pages: Mapping[str, Image.Image | Figure | str], *, width: int = 320) -> ipywidgets.VBox:
    """Pages under a slider, one at a time. The browser itself does the flipping, so it works without a kernel.

    Args:
        pages: title → PIL picture, matplotlib figure (which is closed) or HTML, in the order of the slider.
        width: of a page, in CSS pixels.

    Returns:
        The widget; as a cell's last expression it is displayed.
    """
    if not pages:
        raise ValueError("There is nothing to flip through: give at least one page.")
    layout = ipywidgets.Layout(width=f"{width}px")
    # An accordion can be told which of its pages is open, without a kernel.
    book = ipywidgets.Accordion([
        ipywidgets.VBox([ipywidgets.HTML(f"<b>{html.escape(title)}</b>"), _page(content, layout)])
        for title, content in pages.items()
    ])  # fmt: skip
    for i, title in enumerate(pages):
        book.set_title(i, title)
    book.selected_index = 0
    slider = ipywidgets.IntSlider(0, 0, len(pages) - 1, readout=False, layout=layout)
    link = ipywidgets.jslink((slider, "value"), (book, "selected_index"))
    box = ipywidgets.VBox([slider, book])
    box.link = link  # kept alive with the widget
    return box


def _page(content: Image.Image | Figure | str, layout: ipywidgets.Layout) -> ipywidgets.Widget:
    if isinstance(content, str):
        return ipywidgets.HTML(content, layout=layout)
    return ipywidgets.Image(value=_png(content), format="png", layout=layout)


def _png(picture: Image.Image | Figure) -> bytes:
    file = io.BytesIO()
    if isinstance(picture, Figure):
        import matplotlib.pyplot as plt

        picture.savefig(file, format="png", dpi=100)
        plt.close(picture)
    else:
        picture.save(file, "PNG", optimize=True)
    return file.getvalue()
