"""The pages around the chapters: links lead somewhere, terms are defined, and the build names what is wrong."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import nbformat
import pytest
import yaml
from check_site import broken_links

from course_utils.desk.page import address_of_site

ROOT = Path(__file__).parents[1]
BOOK = ROOT / "book/en"
PAGES = sorted([*BOOK.glob("*.md"), *BOOK.glob("*.ipynb")])
GLOSSARY = BOOK / "glossary.md"


@cache
def parts(path):
    """The page's text as (the sections that a paragraph is in, paragraph), code left out; and all of its sections."""
    if path.suffix == ".ipynb":
        text = "\n\n".join(cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown")
    else:
        text = path.read_text(encoding="utf-8")
    inside, found, sections = {}, [], []
    for paragraph in re.split(r"\n{2,}|\n(?=#)", without_code(text)):
        if heading := re.match(r"(#+) (.*)", paragraph):
            slug = slug_of(heading[2])
            sections.append(slug)
            inside = {level: s for level, s in inside.items() if level < len(heading[1])} | {len(heading[1]): slug}
        found.append((tuple(inside.values()), paragraph))
    return found, sections


def without_code(text):
    """The text without its blocks of code, and without the fences of MyST's directives."""
    kept, fence = [], None
    for line in text.splitlines():
        mark = re.match(r"(`{3,}|:{3,})(.*)", line)
        if fence:
            fence = None if line == fence else fence
        elif not mark:
            kept.append(line)
        elif mark[2] and not mark[2].startswith("{"):
            fence = mark[1]
    return "\n".join(kept)


def slug_of(heading):
    """The anchor that MyST and GitHub make of a heading."""
    return re.sub(r"[^\w\u4e00-\u9fff\- ]", "", heading.lower().replace(" ", "-"))


@cache
def links(path):
    """(sections, file, anchor) of each link to another page of the book."""
    form = r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)"
    return [
        (inside, file or path.name, anchor)
        for inside, paragraph in parts(path)[0]
        for file, anchor in re.findall(form, re.sub(r"\$[^$]*\$", "", paragraph))
    ]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_leads_to_a_page_and_a_section_that_exist(path):
    for _, file, anchor in links(path):
        target = BOOK / file
        assert target.is_file(), f"{file} does not exist"
        assert not anchor or anchor in parts(target)[1], f"{file} has no section #{anchor}"


def entries():
    """Anchor of a term → (heading, the text below it)."""
    pieces = re.split(r"^## (.*)$", GLOSSARY.read_text(encoding="utf-8"), flags=re.M)[1:]
    return {slug_of(term): (term, text.strip()) for term, text in zip(pieces[::2], pieces[1::2], strict=True)}


def uses_in(page, anchor):
    """The sections of each link from this page to a term."""
    return [inside for inside, to, where in links(page) if (to, where) == (GLOSSARY.name, anchor)]


@pytest.mark.parametrize("anchor", entries())
def test_a_term_is_defined_in_two_languages_and_linked_from_where_it_is_introduced(anchor):
    term, text = entries()[anchor]
    form = r"(?P<chinese>[^.]*[\u4e00-\u9fff][^.]*)\. (?P<definition>.*\.)\n\(\[chapter \d+\]\((?P<link>[^)]+)\)\)"
    entry = re.fullmatch(form, text, re.S)
    assert entry, f"{term}: a Chinese name, a definition and the chapter that introduces it are needed"
    assert len(entry["definition"].split()) >= 4, f"{term} is not explained"
    file, section = entry["link"].split("#")
    linking = {page.name: uses_in(page, anchor) for page in PAGES if page.suffix == ".ipynb"}
    first = next((name for name, uses in linking.items() if uses), None)
    assert first in (file, None), f"{first} links {term!r} before {file}, which is said to introduce it"
    uses = linking.get(file, [])
    assert len(uses) == 1, f"{file} should link {term!r} once, at its first use, not {len(uses)} times"
    assert section in uses[0], f"{file} introduces {term!r} in #{uses[0][-1]}, not in #{section}"


def test_terms_stand_in_alphabetical_order():
    terms = [term.lower() for term, _ in entries().values()]
    assert terms == sorted(terms)


SOUND = {
    "index.md": "# A book\n\n```{bibliography}\n```\n",
    "chapter.md": "# A chapter\n\nIt has [tokens](glossary.md#token) {cite}`devlin2019`, and an [index](index.md).\n",
    "glossary.md": "# Glossary\n\n## token\n\nA piece of a text. ([chapter](chapter.md#a-chapter))\n",
}
FAULTS = {  # what is added to the chapter, and what has to be named
    "nothing": ("", None),
    "a chapter that does not exist": ("[the next](11_nowhere.ipynb)", "11_nowhere.ipynb"),
    "a term that the glossary does not define": ("[perplexity](glossary.md#perplexity)", "perplexity"),
    "a citation without an entry": ("{cite}`nobody2020`", "nobody2020"),
}


@pytest.fixture(scope="module")
def builds(tmp_path_factory):
    """A book of three pages with the project's settings, built once for each fault, all at the same time."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    config["bibtex_bibfiles"] = [str(ROOT / file) for file in config["bibtex_bibfiles"]]
    config["html"]["favicon"] = str(ROOT / config["html"]["favicon"])
    for name in ("html_static_path", "html_css_files", "html_js_files", "mathjax_path", "nb_ipywidgets_js"):
        del config["sphinx"]["config"][name]  # large, and no matter here
    started = {}
    for fault, (paragraph, _) in FAULTS.items():
        folder = tmp_path_factory.mktemp("book")
        (folder / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
        (folder / "_toc.yml").write_text(
            "format: jb-book\nroot: index\nchapters:\n- file: chapter\n- file: glossary\n", encoding="utf-8"
        )
        for name, text in SOUND.items():
            (folder / name).write_text(text + (f"\n{paragraph}\n" if name == "chapter.md" else ""), encoding="utf-8")
        command = [Path(sys.executable).with_name("jupyter-book"), "build", folder, "-W", "-n", "--keep-going", "-q"]
        started[fault] = folder, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    return {fault: (folder, run.communicate()[1], run.returncode) for fault, (folder, run) in started.items()}


def test_a_sound_book_builds_and_its_site_has_no_broken_links(builds):
    folder, said, status = builds["nothing"]
    assert status == 0, said
    assert broken_links(folder / "_build/html") == []


def test_a_page_says_what_a_link_to_it_shows_and_loads_nothing_twice(builds):
    site = builds["nothing"][0] / "_build/html"
    page = (site / "chapter.html").read_text(encoding="utf-8")
    assert re.search(r'<meta property="og:title" content="A chapter">', page)
    assert "THEBE_JS_URL" not in page and "sphinx-thebe" not in page
    assert 'data-default-mode="auto"' in page
    assert "your_account.github.io" not in page, "an address that nobody has is no canonical one"
    assert "This page does not exist" in (site / "404.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("repository, site", [
    ("https://github.com/Ada/course", "https://ada.github.io/course/"),
    ("https://github.com/Ada/ada.github.io", "https://ada.github.io/"),
    ("https://github.com/your_account/pretrained-models-hands-on", ""),
    ("https://gitlab.com/ada/course", ""),
])  # fmt: skip
def test_the_address_of_the_site_follows_from_that_of_the_repository(repository, site):
    assert address_of_site(repository) == site


@pytest.mark.parametrize("fault", list(FAULTS)[1:])
def test_the_build_fails_and_names(builds, fault):
    _, said, status = builds[fault]
    assert status != 0
    assert re.search(rf"chapter\.md:5: WARNING: .*{FAULTS[fault][1]}", said), said


def test_the_check_of_a_site_names_each_link_that_leads_nowhere(tmp_path):
    (tmp_path / "there.html").write_text(
        "<h1 id='part'>Here</h1><a href='#part'>up</a><a href='#part-2'>down</a>", encoding="utf-8"
    )
    (tmp_path / "a picture.png").write_bytes(b"")
    (tmp_path / "index.html").write_text(
        "<a href='there.html#part'>yes</a><img src='a%20picture.png'><a href='https://example.org/none'>elsewhere</a>"
        "<a href='there.html#nowhere'>no</a><a href='gone.html'>no</a><img src='gone.png'><script src='../x.js'>"
    )
    assert broken_links(tmp_path) == [
        "index.html: ../x.js",
        "index.html: gone.html",
        "index.html: gone.png",
        "index.html: there.html#nowhere",
        "there.html: #part-2",
    ]
    command = [sys.executable, ROOT / "tests/check_site.py", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "5 links lead nowhere" in done.stderr
