"""The package shows how it is built: a core that imports nothing from the other rooms, no circles, short files."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import course_utils as cu

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "course_utils"
FILES = sorted(path for path in PACKAGE.rglob("*.py"))
ROOMS = ("sources", "show", "desk")
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in FILES}
TYPES = {
    "plot_history",
    "History",
    "Metrics",
    "PictureSplits",
    "Pictures",
    "Recipe",
    "Reviews",
    "Runtime",
    "Split",
}  # what calls return


def room(module):
    """ "sources", "show" or "desk"; "core" for the files directly in the package; ``__main__`` is the desk's door."""
    parts = module.split(".")
    return "desk" if parts[-1] == "__main__" else parts[1] if len(parts) > 1 and parts[1] in ROOMS else "core"


@cache
def imports(module, at_load=False):
    """The modules of the package that one imports; `at_load`: only those that it needs to be loaded itself."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    nodes = tree.body if at_load else ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("course_utils"):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("course_utils")}
    return {name for name in found if name in MODULES}


@pytest.mark.parametrize("module", MODULES)
def test_no_module_imports_upward(module):
    """Core, then sources and show, then desk: each may import what comes before it."""
    above = {
        "core": {"sources", "show", "desk"},
        "sources": {"show", "desk"},
        "show": {"sources", "desk"},
        "desk": set(),
    }
    upward = [target for target in imports(module) if room(target) in above[room(module)]]
    assert not upward, f"{module} imports {', '.join(upward)}, which is above it"


def test_no_modules_import_each_other_in_a_circle():
    def visit(module, trail):
        assert module not in trail, f"a circle: {' → '.join([*trail, module])}"
        for target in imports(module, at_load=True):
            visit(target, (*trail, module))

    for module in MODULES:
        visit(module, ())


def test_the_core_can_be_read_in_an_afternoon():
    lines = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES if path.parent == PACKAGE}
    assert sum(n for name, n in lines.items() if name != "__main__.py") <= 2750


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_is_short_and_says_first_what_it_holds(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 320
    assert text.startswith('"""') and len(text.split("\n")[0]) > 30


def test_every_name_of_cu_is_used_on_a_page():
    pages = [path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("book/en/*")) if path.is_file()]
    unused = [name for name in cu.__all__ if f"cu.{name}" not in "".join(pages) and name not in TYPES]
    assert not unused, f"no page uses cu.{', cu.'.join(unused)}"


def test_the_import_costs_nothing():
    code = (
        "import sys; import course_utils; print(len([m for m in sys.modules if m.split('.')[0] in ('torch', 'numpy')]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


def test_readme_makefile_and_help_name_the_same_commands():
    from course_utils.__main__ import COMMANDS

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = [line.split()[2] for line in makefile.splitlines() if '@echo "make ' in line]
    for target in targets:
        assert f"`make {target}`" in readme or f"make {target} " in readme, f"the README does not name make {target}"
    assert {path.stem for path in PACKAGE.glob("desk/*.py")} >= set(COMMANDS)
    for command in COMMANDS:
        assert f"python -m course_utils {command}" in readme, f"the README does not name the command {command}"
