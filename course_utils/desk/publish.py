"""Giving a copy of the course its own address: ``python -m course_utils publish OWNER/REPO``."""

import os
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

REPOSITORY_LINE = re.compile(r"(?<=url: https://github\.com/)\S+")
BRANCH_LINE = re.compile(r"(?<=branches: \[)[^\]]+")  # of the workflow; the pages' buttons open the students' copies
# As people copy it: from the address line of a browser, or what `git clone` takes.
PREFIX = re.compile(r"(https?://(www\.)?github\.com/|(ssh://)?git@github\.com[:/]|github\.com/)")
# GitHub: letters, digits and single hyphens in an account's name; dots and underscores too in a repository's.
OWNER_AND_REPO = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*/(?!\.{1,2}$)[A-Za-z0-9._-]+")
BRANCH = re.compile(r"(?!.*(\.\.|//|\.lock$|[/.]$))\w[\w./-]*")
NEXT = """
What is left, in this order: without the first step the workflow fails.
1. Choose "GitHub Actions" as the source on https://github.com/{repository}/settings/pages
2. git commit --all --message "The course has an address"
3. git tag v{version}    # the release that the notebooks install
4. git push {remote} {branch} v{version}
The book then appears at https://{owner}.github.io/{path}"""


def address(named: str) -> str:
    """``OWNER/REPO`` from what a person gives for a GitHub repository.

    Raises:
        ValueError: it cannot be one.
    """
    repository = PREFIX.sub("", named.strip(), count=1).rstrip("/").removesuffix(".git")
    if not OWNER_AND_REPO.fullmatch(repository):
        raise ValueError(f"{named!r} is no GitHub repository: give OWNER/REPO, for example ada/pretrained-models.")
    return repository


def git(root: Path, *arguments: str) -> str:
    """What git says; nothing where there is no git, or no repository."""
    try:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def published_branch(root: Path) -> str:
    """The branch whose pushes the workflow publishes."""
    workflow = root / ".github/workflows/pages.yml"
    return BRANCH_LINE.search(workflow.read_text(encoding="utf-8")).group() if workflow.is_file() else "main"


def publish(repository: str, root: Path, branch: str | None = None) -> list[Path]:
    """Write the course's address into ``_config.yml`` and every notebook, and the branch into the workflow.

    Args:
        repository: ``OWNER/REPO`` on GitHub.
        root: the course's folder, which holds ``_config.yml``.
        branch: the branch that is published; None: the one that the course has by now.

    Returns:
        The files that changed.

    Raises:
        ValueError: `repository` cannot be a GitHub repository, or `branch` no branch.
        FileNotFoundError: `root` is not the course's folder.
    """
    repository = address(repository)
    config = root / "_config.yml"
    if not config.is_file():
        raise FileNotFoundError(f"There is no _config.yml in {root}: run this in the course's own folder.")
    text = config.read_text(encoding="utf-8")
    old, old_branch = REPOSITORY_LINE.search(text).group(), published_branch(root)
    branch = branch or old_branch
    if not BRANCH.fullmatch(branch):
        raise ValueError(f"{branch!r} is no name of a branch: give one such as main.")
    # An address goes on with a slash, a quotation mark or nothing: ada/course must not match in ada/course-2.
    mention = re.compile(re.escape(old) + r"(?![\w.-])")
    changes = {
        config: lambda text: mention.sub(repository, text),
        root / ".github/workflows/pages.yml": lambda text: text.replace(
            f"branches: [{old_branch}]", f"branches: [{branch}]"
        ).replace(f"'refs/heads/{old_branch}'", f"'refs/heads/{branch}'"),
    }
    for path in sorted(root.glob("book/**/*.ipynb")):
        changes[path] = lambda text: mention.sub(repository, text)
    changed = []
    for path, change in changes.items():
        before = path.read_text(encoding="utf-8") if path.is_file() else ""
        if (after := change(before)) != before:
            unfinished = path.with_suffix(".unfinished")
            unfinished.write_text(after, encoding="utf-8")
            os.replace(unfinished, path)
            changed.append(path)
    return changed


def add_arguments(command) -> None:
    command.add_argument("repository", metavar="OWNER/REPO", help="or its address, https://github.com/OWNER/REPO")
    command.add_argument("--branch", help="the one that is published; left out, the one that is checked out here")


def run(options) -> None:
    root, repository = Path.cwd(), address(options.repository)
    branch = options.branch or git(root, "symbolic-ref", "--short", "HEAD")
    for path in publish(repository, root, branch):
        print(f"wrote {repository} into {path.relative_to(root)}")
    branch = published_branch(root)
    owner, _, name = repository.partition("/")
    path = "" if name.lower() == f"{owner}.github.io".lower() else f"{name}/"
    remote = "origin" if "origin" in git(root, "remote").split() else f"https://github.com/{repository}.git"
    places = {"repository": repository, "branch": branch, "owner": owner.lower(), "path": path, "remote": remote}
    print(NEXT.format(**places, version=version("course-utils")))
