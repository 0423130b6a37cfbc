"""Widgets that also show something on the static page, where there is no kernel. They use core ipywidgets (7.7 on)."""

from collections.abc import Callable, Sequence

import ipywidgets


def try_it(answer: Callable[[str], str], examples: Sequence[str]) -> ipywidgets.VBox:
    """A field to type one's own text into, above examples whose answers are stored with the page.

    Args:
        answer: text → what to show for it, as HTML.
        examples: texts to answer at once; each opens with a click, without a kernel too.

    Returns:
        The widget; as a cell's last expression it is displayed.
    """
    field = ipywidgets.Text(
        value=examples[0], placeholder="type a sentence and press Enter", continuous_update=False,
        layout=ipywidgets.Layout(width="98%"),
    )  # fmt: skip
    result = ipywidgets.HTML(answer(examples[0]))

    def show(change):
        if change["new"].strip():
            result.value = answer(change["new"])

    field.observe(show, names="value")
    shelf = ipywidgets.Accordion([ipywidgets.HTML(answer(example)) for example in examples])
    for i, example in enumerate(examples):
        shelf.set_title(i, example)
    note = ipywidgets.HTML("<small>The field needs a running kernel; the examples below open without one.</small>")
    return ipywidgets.VBox([field, result, note, shelf])
