"""The rules of the book: notebooks executed and whole, one address everywhere, recorded figures quoted as recorded."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

from course_utils.__main__ import main
from course_utils.desk.publish import publish
from course_utils.sources.checkpoints import STAND_INS

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted(ROOT.glob("book/**/*.ipynb"))
REPOSITORY = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"].removeprefix("https://github.com/")
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@each_notebook
def test_it_was_executed_in_order_from_a_clean_kernel_without_errors(path):
    cells = code_cells(nbformat.read(path, 4))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    printed = "".join(output.get("text", "") for output in cells[0].outputs)
    assert "bundled stand-ins (COURSE_SOURCE=bundled)" in printed


@each_notebook
def test_its_widgets_show_in_the_static_page(path):
    """Colab drops the widgets' state when it saves; a notebook saved there loses them."""
    notebook = nbformat.read(path, 4)
    kind = "application/vnd.jupyter.widget-view+json"
    shown = {o.data[kind]["model_id"] for c in code_cells(notebook) for o in c.outputs if kind in o.get("data", {})}
    stored = notebook.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    assert shown and shown <= set(stored)


@each_notebook
def test_it_is_small_and_names_no_machine_or_hour(path):
    text = path.read_text(encoding="utf-8")
    assert len(text) < 1_500_000
    assert "iopub.execute_input" not in text  # when each cell ran: every execution would change every cell
    assert not re.findall(r"/(?:root|home|work|Users|tmp)/\w+", text)


@each_notebook
def test_it_opens_on_colab_with_a_gpu_and_installs_this_course(path):
    notebook = nbformat.read(path, 4)
    assert notebook.metadata["accelerator"] == "GPU" and notebook.metadata["colab"]["gpuType"] == "T4"
    assert nbformat.validate(notebook) is None
    address = f"https://colab.research.google.com/github/{REPOSITORY}/blob/main/{path.relative_to(ROOT).as_posix()}"
    assert f"[Open this chapter in Colab]({address})" in notebook.cells[0].source
    setup = code_cells(notebook)[0].source
    assert f'COURSE = "{REPOSITORY}"' in setup
    assert "%pip install -q --no-deps git+https://github.com/{COURSE}" in setup and "cu.setup(" in setup


@each_notebook
def test_each_figure_has_alt_text_and_a_caption(path):
    notebook = nbformat.read(path, 4)
    for i, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and "plt.show()" in cell.source:
            assert len(cell.metadata.mystnb.image.alt) > 40
            assert notebook.cells[i + 1].source.startswith("*")


@each_notebook
def test_its_set_up_cell_says_what_to_do_where_the_course_has_no_address(path):
    """Run as on Colab, where course_utils is not installed: no stranger's package, one clear sentence."""
    setup = code_cells(nbformat.read(path, 4))[0].source.replace(REPOSITORY, "your_account/course")
    lines = [line for line in setup.split("\n") if "%pip" not in line]
    hide = "import sys; sys.modules['course_utils'] = None\n"
    done = subprocess.run([sys.executable, "-c", hide + "\n".join(lines)], capture_output=True, text=True)
    assert "This copy has no address yet" in done.stderr


def test_all_mentions_of_the_repository_agree():
    mentions = {}
    for path in [ROOT / "README.md", *ROOT.glob("*.yml"), *ROOT.glob("book/**/*.md"), *NOTEBOOKS]:
        for found in re.findall(
            r"github\.com/(?:github/)?([\w-]+/[\w.-]+)|github/([\w-]+/[\w.-]+)/blob", path.read_text()
        ):
            mentions.setdefault("".join(found), []).append(path.name)
        for found in re.findall(r'COURSE = \\"([^"\\]+)', path.read_text()):
            mentions.setdefault(found, []).append(path.name)
    assert set(mentions) == {REPOSITORY}, mentions


@pytest.fixture
def copy(tmp_path):
    shutil.copy(ROOT / "_config.yml", tmp_path)
    shutil.copytree(ROOT / "book", tmp_path / "book")
    return tmp_path


def test_publish_writes_the_address_everywhere_and_again(copy):
    for old, new in ((REPOSITORY, "ada/models"), ("ada/models", "ada/models-2"), ("ada/models-2", "grace-h/x.y_z")):
        changed = publish(new, copy)
        assert {path.name for path in changed} == {"_config.yml", *(path.name for path in NOTEBOOKS)}
        for path in changed:
            text = path.read_text(encoding="utf-8")
            assert new in text and not re.search(re.escape(old) + r"(?![\w.-])", text)
            if path.suffix == ".ipynb":
                nbformat.validate(nbformat.read(path, 4))
        assert publish(new, copy) == []
    assert not list(copy.rglob("*.unfinished"))


@pytest.mark.parametrize(
    "bad", ["models", "a_b/models", "ada-/models", "ada/", "https://github.com/ada/models", "ada/m m"]
)
def test_publish_refuses_what_is_no_repository_and_changes_nothing(copy, bad, capsys, monkeypatch):
    monkeypatch.chdir(copy)
    before = (copy / "_config.yml").read_text()
    assert main(["publish", bad]) == 2
    assert "give OWNER/REPO, for example" in capsys.readouterr().err
    assert (copy / "_config.yml").read_text() == before


def test_publish_elsewhere_says_where_to_run_it(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["publish", "ada/models"]) == 2
    assert "run this in the course's own folder" in capsys.readouterr().err


def test_versions_stand_in_one_place():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    packages = [d for d in environment["dependencies"] if isinstance(d, str)]
    assert {re.split("[<>=]", d)[0] for d in packages} == {"python", "pip", "make"}
    assert environment["dependencies"][-1] == {"pip": ["--editable .[all]"]}


def recorded(name):
    return json.loads((ROOT / f"benchmarks/results/{name}.json").read_text())["results"]


def mean_and_spread(row, name):
    """As the tables write it: no spread is rounded to nothing."""
    sd = row[f"{name}_sd"]
    return f"{row[f'{name}_mean']:.2f} ± {sd:.{3 if 0 < sd < 0.005 else 2}f}"


@pytest.mark.parametrize("page", ["index.md", "07_sentiment_finetuning.ipynb"])
@pytest.mark.parametrize(
    ("result", "title"),
    [("real_en", "reviews from UCI, 1,000 labels"), ("bundled_en", "reviews written for the course, 700 labels")],
)
def test_the_table_of_accuracies_quotes_the_recorded_ones(page, result, title):
    r = recorded("reviews_accuracy")[result]
    row = (
        f"| {title} | {r['bag_of_words']:.2f} | {mean_and_spread(r, 'random_weights')} "
        f"| {mean_and_spread(r, 'fine_tuned')} |"
    )
    assert row in (ROOT / "book/en" / page).read_text(encoding="utf-8")


def test_how_much_longer_the_hubs_models_take_is_as_recorded():
    for name, result in (("bert-base-uncased", "finetune_text"), ("bert-base-chinese", "bert_mini")):
        times = recorded(result)[f"{name}, times as long a step as its stand-in"]
        assert STAND_INS[name].times_as_fast == round(times)


def test_the_speeds_that_chapter_8_quotes_are_the_recorded_ones():
    def speeds(result):
        contenders = (
            "plain fp32 loop, padded to the longest text",
            "Trainer, fp32, dynamic padding",
            "Trainer, bf16=True, dynamic padding",
            "cu.fit",
        )
        return (recorded(result)[name]["texts_per_second"] for name in contenders)

    text = (ROOT / "book/en/08_sentiment_trainer.ipynb").read_text(encoding="utf-8")
    plain, trainer, bf16, fit = speeds("finetune_text")
    for quoted in (f"{plain:.0f} texts a second", f"{trainer:.0f} for `Trainer`", f"{fit:.0f} for `cu.fit`"):
        assert quoted in text
    assert f"fell to {bf16:.1f}" in text
    plain, _, bf16, fit = speeds("finetune_text_amx")
    assert f"the three were {plain:.0f}, {bf16:.0f} and {fit:.0f}" in text


@pytest.mark.parametrize("labels", [200, 1000])
def test_what_bert_mini_zh_is_worth_is_quoted_as_recorded(labels):
    r = recorded("bert_mini")[f"bert-mini-zh, {labels} labels"]
    cells = (mean_and_spread(r, f"{weights}_balanced_accuracy") for weights in ("random_weights", "pretrained"))
    row = f"| {labels:,} labels | {' | '.join(cells)} |"
    text = (ROOT / "book/en/06_torch_hub_heads.ipynb").read_text(encoding="utf-8")
    assert row in text
    if labels == 1000:  # the plain accuracies, beside counting
        counting = recorded("reviews_accuracy")["real_zh"]["bag_of_words"]
        assert f"{counting:.2f}, and `bert-mini-zh` {r['pretrained_accuracy_mean']:.2f}." in text


PICTURES = {
    "pokemon": "Pokémon, 72 labels a class",
    "pokemon_20": "Pokémon, 20 labels a class",
    "cifar10": "CIFAR-10, 100 labels a class",
    "creatures": "drawn creatures, 20 labels a class",
}


@pytest.mark.parametrize(
    ("page", "tasks"),
    [
        ("index.md", ["pokemon", "pokemon_20", "cifar10", "creatures"]),
        ("09_resnet_cifar10.ipynb", ["cifar10", "creatures"]),
        ("10_pokemon.ipynb", ["pokemon", "pokemon_20", "creatures"]),
    ],
)
def test_the_tables_of_pictures_quote_the_recorded_figures(page, tasks):
    text = (ROOT / "book/en" / page).read_text(encoding="utf-8")
    for task in tasks:
        row = recorded("pictures_accuracy")[task]
        arms = " | ".join(mean_and_spread(row, arm) for arm in ("random_weights", "fine_tuned"))
        assert f"| {PICTURES[task]} | {row['colour_histogram']:.2f} | {arms} |" in text
    assert "TODO" not in text


def test_fine_tuning_on_all_pokemon_reaches_what_was_promised():
    pokemon = recorded("pictures_accuracy")["pokemon"]
    assert len(pokemon["fine_tuned"]) == 3 and pokemon["fine_tuned_mean"] >= 0.955


@pytest.mark.parametrize(("task", "worth"), [("creatures", 0.10), ("pokemon_20", 0.05), ("cifar10", 0.20)])
def test_pretraining_is_worth_what_was_promised(task, worth):
    row = recorded("pictures_accuracy")[task]
    assert len(row["fine_tuned"]) == len(row["random_weights"]) == 3
    assert row["fine_tuned_mean"] >= row["random_weights_mean"] + worth
