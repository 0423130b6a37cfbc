"""The rules of the book: notebooks executed and whole, one address everywhere, recorded figures quoted as recorded."""

import re
import shutil
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import nbformat
import pytest
import yaml

from course_utils.__main__ import main
from course_utils.claims import FEWEST, load_record, recorded
from course_utils.desk import figures
from course_utils.desk.chapters import claims_in
from course_utils.desk.publish import address, publish
from course_utils.desk.record import smallest_margin
from course_utils.sources.checkpoints import STAND_INS

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted(ROOT.glob("book/**/*.ipynb"))
REPOSITORY = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"].removeprefix(
    "https://github.com/"
)
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
    address = f"https://colab.research.google.com/github/{REPOSITORY}/blob/students/{path.relative_to(ROOT).as_posix()}"
    assert f"[Open this chapter in Colab]({address})" in notebook.cells[0].source  # the copy for students
    setup = code_cells(notebook)[0].source
    assert f'COURSE = "{REPOSITORY}"' in setup
    assert "%pip install -q {helpers_only} git+https://github.com/{COURSE}@{RELEASE}" in setup and "cu.setup(" in setup
    assert f'RELEASE = "v{version("course-utils")}"' in setup  # the tag that `publish` asks for, not the branch's tip


@pytest.mark.parametrize(("where", "options"), [("google.colab", "--no-deps"), ("jupyterlab", "")])
def test_the_set_up_cell_leaves_colabs_own_pytorch_and_brings_all_elsewhere(where, options):
    setup = code_cells(nbformat.read(NOTEBOOKS[0], 4))[0].source.replace("your_account", "ada")
    setup = setup.replace("%pip install", "print(f'pip install").replace("{RELEASE}", "{RELEASE}'); sys.exit()")
    hide = f"import sys; sys.modules['course_utils'] = None; sys.modules['{where}'] = sys\n"
    done = subprocess.run([sys.executable, "-c", hide + setup], capture_output=True, text=True, check=True)
    installed = (
        f"pip install -q {options} git+https://github.com/ada/pretrained-models-hands-on@v{version('course-utils')}"
    )
    assert done.stdout.strip() == installed


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
            r"github\.com/(?:github/)?([\w-]+/[\w.-]+)|github/([\w-]+/[\w.-]+)/blob", path.read_text(encoding="utf-8")
        ):
            mentions.setdefault("".join(found), []).append(path.name)
        for found in re.findall(r'COURSE = \\"([^"\\]+)', path.read_text(encoding="utf-8")):
            mentions.setdefault(found, []).append(path.name)
    mentions.pop("OWNER/REPO", None)  # stands for anyone's
    assert set(mentions) == {REPOSITORY}, mentions


@pytest.fixture
def copy(tmp_path):
    shutil.copy(ROOT / "_config.yml", tmp_path)
    shutil.copytree(ROOT / "book", tmp_path / "book")
    shutil.copytree(ROOT / ".github", tmp_path / ".github")
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
    "bad",
    [
        *("models", "a_b/models", "ada-/models", "ada/", "ada/m m", "a/..", "a/.", "../a", "a/.git", "", "a"),
        *("https://github.com/a", "https://gitlab.com/ada/models", "https://github.com/ada/models/tree/main"),
    ],
)
def test_publish_refuses_what_is_no_repository_and_changes_nothing(copy, bad, capsys, monkeypatch):
    monkeypatch.chdir(copy)
    before = (copy / "_config.yml").read_text(encoding="utf-8")
    assert main(["publish", bad]) == 2
    assert "give OWNER/REPO, for example" in capsys.readouterr().err
    assert (copy / "_config.yml").read_text(encoding="utf-8") == before


@pytest.mark.parametrize(
    "named",
    [
        *("https://github.com/ada/course", "http://www.github.com/ada/course/", "https://github.com/ada/course.git"),
        *(
            "git@github.com:ada/course.git",
            "ssh://git@github.com/ada/course.git",
            "github.com/ada/course",
            " ada/course ",
        ),
    ],
)
def test_publish_takes_a_repository_as_people_copy_it(named):
    assert address(named) == "ada/course"


def test_publish_says_what_is_left_in_the_order_that_pages_needs(copy, capsys, monkeypatch):
    monkeypatch.chdir(copy)
    for command in (["init", "--quiet", "--initial-branch=release-2"], ["add", "--all"]):
        subprocess.run(["git", *command], check=True)
    assert main(["publish", "https://github.com/Ada/course"]) == 0
    said = capsys.readouterr().out
    steps = ["github.com/Ada/course/settings/pages", "git commit", "git tag v"]
    steps.append("git push https://github.com/Ada/course.git release-2 v")
    places = [said.index(step) for step in steps]
    assert places == sorted(places) and "https://ada.github.io/course/" in said


@pytest.mark.parametrize(("branch", "arguments"), [("trunk", ["--branch", "trunk"]), ("feature/x-2", [])])
def test_publish_knows_other_branches(copy, branch, arguments, monkeypatch):
    monkeypatch.chdir(copy)
    subprocess.run(["git", "init", "--quiet", f"--initial-branch={branch if not arguments else 'main'}"], check=True)
    assert main(["publish", "ada/models", *arguments]) == 0
    config = yaml.safe_load((copy / "_config.yml").read_text(encoding="utf-8"))
    assert config["repository"]["branch"] == "students"  # what the buttons open, whatever is published
    for path in copy.glob("book/**/*.ipynb"):
        assert "ada/models/blob/students/book/en/" in path.read_text(encoding="utf-8")
    workflow = yaml.load((copy / ".github/workflows/pages.yml").read_text(encoding="utf-8"), yaml.BaseLoader)
    assert workflow["on"]["push"]["branches"] == [branch]
    for job in ("deploy", "students"):
        assert f"'refs/heads/{branch}'" in workflow["jobs"][job]["if"]


@pytest.mark.parametrize("bad", ["a b", "../x", "x..y", "-x", "x.lock", "x/", "x'"])
def test_publish_refuses_what_is_no_branch(copy, bad):
    with pytest.raises(ValueError, match="is no name of a branch"):
        publish("ada/models", copy, bad)


def test_publish_elsewhere_says_where_to_run_it(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["publish", "ada/models"]) == 2
    assert "run this in the course's own folder" in capsys.readouterr().err


def test_versions_stand_in_one_place():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    packages = [d for d in environment["dependencies"] if isinstance(d, str)]
    assert {re.split("[<>=]", d)[0] for d in packages} == {"python", "pip", "make"}
    assert environment["dependencies"][-1] == {"pip": ["--editable .[all]"]}


def test_every_cited_figure_is_as_recorded():
    assert figures.update(ROOT, write=False) == []


@each_notebook
def test_a_comparison_that_is_close_says_how_often_it_held(path):
    """Where the worst recorded run is less than two standard deviations from the bound, the text gives "k of n"."""
    notebook = nbformat.read(path, 4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for claim in claims_in(notebook, path.name[:2]):
        values = recorded(claim.name, "bundled")
        if claim.is_comparison and len(values) >= FEWEST and smallest_margin(claim, values) < 2:
            assert re.search(rf"\d+ of \d+<!--claim:{claim.name}@bundled-->", text), f"{claim.name} is close: {values}"


def test_how_much_longer_the_hubs_models_take_is_as_recorded():
    for name, stand_in in STAND_INS.items():
        values = [run["values"].get(f"{name}-times-as-long") for run in load_record()]
        times = [value for value in values if value]
        assert min(times) - 0.5 <= stand_in.times_as_fast <= max(times) + 0.5


def mean(claim):
    return statistics.mean(run["values"][claim] for run in load_record() if claim in run["values"])


@pytest.mark.parametrize(
    ("task", "worth"), [("creatures-20", 0.10), ("pokemon-20", 0.05), ("pokemon-72", 0.05), ("cifar10-100", 0.20)]
)
def test_pretraining_is_worth_what_was_promised(task, worth):
    assert mean(f"pictures-{task}-pretrained") >= mean(f"pictures-{task}-random") + worth
