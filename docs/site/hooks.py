"""Hooks of mkdocs: the order of the pages, links to files that are not pages, and what GitHub's Markdown writes in another way."""

import os
import re


def on_config(config):
    """Orders the pages as docs/README.md lists them: a section for each row of its table."""
    with open(os.path.join(config.docs_dir, "docs", "README.md"), encoding="utf-8") as file:
        rows = re.findall(r"^\| \*\*(.+?)\*\* \| (.*) \|$", file.read(), re.MULTILINE)
    first = ["docs/README.md", "docs/glossary.md"]
    listed = {"README.md", *first}
    nav = [{"Meshpass": "README.md"}, {"Documentation": first}]
    for title, links in rows:
        pages = []
        for target in re.findall(r"\]\(([^)#]+\.md)", links):
            page = os.path.normpath(os.path.join("docs", target))
            if page not in listed:
                listed.add(page)
                pages.append(page)
        if pages:
            nav.append({title[0].upper() + title[1:]: pages})
    config.nav = nav
    return config


def on_page_markdown(markdown, page, config, files):
    """Adapts a page: see the module."""
    repository = os.path.join(os.path.dirname(config.config_file_path), "..", "..")

    def point(match):
        """Points a link to a file that is not a page to the repository."""
        target, anchor = match.group(1), match.group(2) or ""
        path = os.path.normpath(os.path.join(os.path.dirname(page.file.src_uri), target))
        if ":" in target or files.get_file_from_path(path) or not os.path.exists(os.path.join(repository, path)):
            return match.group(0)
        return f"]({config.repo_url}/blob/main/{path}{anchor})"

    def bare_pipes(match):
        """In code of a table, a pipe needs no backslash here."""
        return re.sub(r"`[^`]*`", lambda code: code.group(0).replace(r"\|", "|"), match.group(0))

    markdown = re.sub(r"\]\(([^)#\s]+)(#[^)\s]*)?\)", point, markdown)
    markdown = re.sub(r"^\|.*\|$", bare_pipes, markdown, flags=re.MULTILINE)
    return re.sub(r"^```(\w+) ([^\s=]+)$", r'```\1 title="\2"', markdown, flags=re.MULTILINE)
