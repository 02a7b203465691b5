"""A note above those pages of the Chinese site that are in English."""

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

NOTE = '!!! note ""\n    本页暂无中文版，以下为英文原文。\n\n'


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - MkDocs names them
    """Returns a page's text with the note where it has no translation."""
    is_english = not page.file.src_uri.endswith(".zh.md")
    return f"{NOTE}{markdown}" if page.file.dest_uri.startswith("zh/") and is_english else markdown
