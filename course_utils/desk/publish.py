"""Giving a copy of the course its own address: ``python -m course_utils publish OWNER/REPO``."""

import os
import re
from pathlib import Path

REPOSITORY_LINE = re.compile(r"(?<=url: https://github\.com/)\S+")
# GitHub: letters, digits and single hyphens in an account's name; dots and underscores too in a repository's.
OWNER_AND_REPO = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*/[A-Za-z0-9._-]+")


def publish(repository: str, root: Path) -> list[Path]:
    """Write the repository's address into ``_config.yml`` and into every notebook's Colab button and set-up cell.

    Args:
        repository: ``OWNER/REPO`` on GitHub.
        root: the course's folder, which holds ``_config.yml``.

    Returns:
        The files that changed.

    Raises:
        ValueError: `repository` cannot be a GitHub repository.
        FileNotFoundError: `root` is not the course's folder.
    """
    if not OWNER_AND_REPO.fullmatch(repository):
        raise ValueError(f"{repository!r} is no GitHub repository: give OWNER/REPO, for example ada/pretrained-models.")
    config = root / "_config.yml"
    if not config.is_file():
        raise FileNotFoundError(f"There is no _config.yml in {root}: run this in the course's own folder.")
    old = REPOSITORY_LINE.search(config.read_text(encoding="utf-8")).group()
    # An address goes on with a slash, a quotation mark or nothing: ada/course must not match in ada/course-2.
    mention = re.compile(re.escape(old) + r"(?![\w.-])")
    changed = []
    for path in [config, *sorted(root.glob("book/**/*.ipynb"))]:
        before = path.read_text(encoding="utf-8")
        after = mention.sub(repository, before)
        if after != before:
            unfinished = path.with_suffix(".unfinished")
            unfinished.write_text(after, encoding="utf-8")
            os.replace(unfinished, path)
            changed.append(path)
    return changed


def add_arguments(command) -> None:
    command.add_argument("repository", metavar="OWNER/REPO")


def run(options) -> None:
    for path in publish(options.repository, Path.cwd()):
        print(f"wrote {options.repository} into {path.relative_to(Path.cwd())}")
