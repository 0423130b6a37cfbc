"""What Jupyter Book and its theme leave open about a page: its address, what it loads, what a link to it shows.

An extension of Sphinx; _config.yml names it.
"""

import html
import re

# An account's name has no underscore: the address that a course has before `publish` gives no address of a site.
GITHUB = re.compile(r"https://github\.com/([A-Za-z0-9-]+)/([^/]+?)/?")
LENGTH = 200  # of a description; search engines and messengers cut longer ones
LOST = """<h1>This page does not exist</h1>
<p>The book has no page at this address. <a href="{home}">Begin at its first page</a>, or <a href="search.html">search
it</a>.</p>"""


def address_of_site(repository: str) -> str:
    """Where GitHub Pages publishes a repository, with a slash at its end; empty if `repository` is none of GitHub's."""
    parts = GITHUB.fullmatch(repository)
    if not parts:
        return ""
    owner, name = parts[1].lower(), parts[2]
    return f"https://{owner}.github.io/" + ("" if name.lower() == f"{owner}.github.io" else f"{name}/")


def know_the_site(app, config):
    config.html_baseurl = config.html_baseurl or address_of_site(config.html_theme_options.get("repository_url", ""))


def described(doctree) -> str:
    """The first paragraph of a page in plain text, cut at a word."""
    from docutils import nodes  # only where pages are rendered

    for paragraph in doctree.findall(nodes.paragraph):
        if isinstance(paragraph.parent, nodes.section) and len(text := " ".join(paragraph.astext().split())) > 40:
            return text if len(text) <= LENGTH else text[:LENGTH].rsplit(" ", 1)[0] + " …"
    return ""


def complete(app, page, template, context, doctree):
    """Tags for sharing; a theme mode; no script twice, and none of Thebe, which the course does not use."""
    scripts = []
    for script in context["script_files"]:
        said = str(getattr(script, "filename", script) or "") + str(getattr(script, "attributes", {}).get("body", ""))
        if "thebe" not in said.lower() and script not in scripts:
            scripts.append(script)
    context["script_files"] = scripts
    context["css_files"] = [style for style in context["css_files"] if "thebe" not in str(style.filename)]
    context["default_mode"] = context.get("default_mode") or "auto"  # without one the theme logs an error
    base = app.config.html_baseurl
    if page == "404" and base:  # it is shown under any address, so that its links cannot be relative to that
        context["metatags"] = f'<base href="{base}">\n' + context.get("metatags", "")
    if doctree is None:
        return
    tags = {
        "og:type": "article",
        "og:site_name": app.config.html_title,
        "og:title": app.env.titles[page].astext(),
        "og:description": described(doctree),
        "og:url": f"{base}{page}.html" if base else "",
        "og:image": f"{base}_static/page.png" if base else "",
    }
    lines = [f'<meta property="{name}" content="{html.escape(text)}">' for name, text in tags.items() if text]
    if tags["og:description"]:
        lines.append(f'<meta name="description" content="{html.escape(tags["og:description"])}">')
    context["metatags"] = context.get("metatags", "") + "\n".join(lines)


def lost_page(app):
    return [("404", {"title": "Not found", "body": LOST.format(home=f"{app.config.root_doc}.html")}, "page.html")]


def setup(app):
    app.connect("config-inited", know_the_site, priority=900)
    app.connect("html-page-context", complete, priority=900)
    app.connect("html-collect-pages", lost_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}
