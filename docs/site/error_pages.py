"""The index of errors: a page for each group of messages, made of the source and of remedies.yaml."""

import html
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml
from messages import CLOSE, OPEN, Message, messages

REMEDIES = Path(__file__).with_name("remedies.yaml")
FOLDER = "errors"
CONTINUED = re.compile(r"(?:has|holds|is|are|was|cannot|lists?) ")
"""How a message begins that follows the name of a row or a file."""
HEAD = """\
# Errors and what to do

maas ends with one line that says what was found, what is required and what to do; the status is then 2. Each of these
lines is on a page below, as the source has it, with what to do beside it; values that are filled in are in italics. The
search finds a message by any of its words. `MAAS_TRACEBACK=1` shows what lies below an error.

| error | means |
|---|---|
"""


@dataclass(frozen=True)
class Group:
    """Messages of some files, with what to do about those that do not say it themselves."""

    page: str
    page_title: str
    title: str
    remedy: str
    where: tuple[str, ...]


@cache
def groups() -> tuple[Group, ...]:
    """Returns the groups in the order of the pages."""
    pages = yaml.safe_load(REMEDIES.read_text(encoding="utf-8"))
    return tuple(
        Group(page["page"], page["title"], group["title"], group["remedy"], tuple(group["where"]))
        for page in pages
        for group in page["groups"]
    )


def group_of(file: str) -> Group | None:
    """Returns the group of a file, by the longest beginning of its path; None where no group has it."""
    found = [(len(place), group) for group in groups() for place in group.where if file.startswith(place)]
    return max(found, key=lambda one: one[0])[1] if found else None


def error_pages(about: Mapping[str, str]) -> dict[str, str]:
    """Returns the pages by their paths in the documents.

    Args:
        about: what each error's class means, by its name.
    """
    grouped: dict[Group, list[Message]] = defaultdict(list)
    for message in messages():
        if (group := group_of(message.file)) is not None:
            grouped[group].append(message)
    pages: dict[str, list[str]] = {}
    for group in groups():
        lines = pages.setdefault(group.page, [f"# {group.page_title}: errors", ""])
        lines += [f"## {group.title}", "", group.remedy, "", _entries(grouped[group]), ""]
    titles = {group.page: group.page_title for group in groups()}
    counts = {page: sum(len(grouped[one]) for one in groups() if one.page == page) for page in pages}
    index = HEAD + "".join(f"| `{name}` | {text} |\n" for name, text in about.items() if text)
    index += "\n| page | messages |\n|---|---|\n"
    index += "".join(f"| [{titles[page]}]({page}.md) | {counts[page]} |\n" for page in pages)
    written = {f"{FOLDER}/{page}.md": "\n".join(lines) for page, lines in pages.items()}
    return {f"{FOLDER}/index.md": index, **written}


def _entries(found: Sequence[Message]) -> str:
    """Returns messages as a list of HTML, each once: what was found, and what to do where that stands by itself."""
    seen = {(one.text, one.error): one for one in found}.values()
    return '<dl class="messages">' + "".join(map(_entry, sorted(seen, key=lambda one: one.text.lower()))) + "</dl>"


def _entry(message: Message) -> str:
    says = message.found if message.found != message.text else message.text
    remedy = message.remedy if message.found != message.text else ""
    error = f' <span class="error">{message.error}</span>' if message.error else ""
    done = f"<dd>{_shown(remedy)}</dd>" if remedy else ""
    return f"<dt>{'… ' if CONTINUED.match(says) else ''}{_shown(says)}{error}</dt>{done}"


def _shown(text: str) -> str:
    """Returns a message as HTML, its values in italics."""
    escaped = html.escape(" ".join(text.split()), quote=False)
    return re.sub(f"{OPEN}([^{CLOSE}]*){CLOSE}", r"<var>\1</var>", escaped)
