"""Name every link inside a built site that leads nowhere: `python tests/check_site.py _build/html`.

Pictures, scripts and style sheets count as links; so do anchors, #like-this. Other sites are not asked.
"""

import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup


def broken_links(folder: Path) -> list[str]:
    """What leads nowhere, as "page: link"."""
    folder = folder.resolve()
    pages = [page for page in sorted(folder.rglob("*.html")) if "_static" not in page.parts]  # the theme's templates
    soups = {page: BeautifulSoup(page.read_bytes(), "html.parser") for page in pages}
    anchors = {page: {tag.get("id") or tag.get("name") for tag in soup(True)} for page, soup in soups.items()}
    broken = []
    for page, soup in soups.items():
        links = {tag.get("href") or tag.get("src") or "" for tag in soup(["a", "link", "img", "script", "source"])}
        for link in sorted(links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:  # another site, or a picture inside of the page
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if target.is_dir():
                target /= "index.html"
            there = target.is_file() and target.is_relative_to(folder)
            anchor = unquote(parts.fragment)
            if not there or (anchor and anchor not in anchors.get(target, {anchor})):
                broken.append(f"{page.relative_to(folder)}: {link}")
    return broken


if __name__ == "__main__":
    site = Path(sys.argv[1])
    if not (site / "index.html").is_file():
        sys.exit(f"There is no site in {site}: build it first.")
    if broken := broken_links(site):
        sys.exit("\n".join([f"{len(broken)} links lead nowhere:", *broken]))
