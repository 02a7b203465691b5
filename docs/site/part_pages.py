"""The reference of recipe parts, made of conf/ and of the docstrings and signatures of what the parts call."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from maas.shell.recipes_and_parts import ArgumentLine, PartDetails, part_details, part_lines, recipe_lines

FOLDER = "reference"
HEAD = """\
# {section}

Parts for `{section}` in a recipe: `defaults: [override /{section}: NAME]`, or `{section}=NAME` on the command line; an
argument is set by `{section}.ARGUMENT=VALUE`. `maas show {section}/NAME` prints the same.

"""


def part_pages() -> dict[str, str]:
    """Returns a page for each section of a recipe, and one that lists sections and recipes, by their paths."""
    found = [part_details(one) for one in part_lines()]
    sections = {name: list(parts) for name, parts in groupby(found, key=_section_of)}
    pages = {f"{FOLDER}/parts/{name}.md": _page(name, parts) for name, parts in sections.items()}
    index = ["# Recipes and their parts", "", "A recipe picks a part for each section ([how](../../index.md)).", ""]
    index += ["| section | parts |", "|---|---|"]
    index += [f"| [`{name}`]({name}.md) | {_linked(name, parts)} |" for name, parts in sections.items()]
    index += ["", "## Recipes that are shipped", "", "| recipe | what it is |", "|---|---|"]
    index += [f"| `{one.name}` | {_cell(one.about)} |" for one in recipe_lines()]
    return {f"{FOLDER}/parts/index.md": "\n".join(index) + "\n", **pages}


def _section_of(details: PartDetails) -> str:
    return details.part.name.partition("/")[0]


def _name_of(details: PartDetails) -> str:
    return details.part.name.partition("/")[2]


def _linked(section: str, parts: Sequence[PartDetails]) -> str:
    return ", ".join(f"[`{_name_of(one)}`]({section}.md#{_name_of(one)})" for one in parts)


def _page(section: str, parts: Sequence[PartDetails]) -> str:
    return HEAD.format(section=section) + "\n".join(line for one in parts for line in _part(one))


def _part(details: PartDetails) -> Iterator[str]:
    yield f"## `{_name_of(details)}` {{#{_name_of(details)}}}\n"
    if not details.part.target:
        yield f"Several parts and values:\n\n```yaml\n{details.text.strip()}\n```\n"
        return
    yield f"{details.part.about}\n\nCalls `{details.part.target}`.\n"
    if details.arguments:
        yield "| argument | type | value | what |\n|---|---|---|---|"
        yield from map(_argument, details.arguments)
        yield ""


def _argument(one: ArgumentLine) -> str:
    kind = f"`{_code(one.type)}`" if one.type else ""
    return f"| `{one.name}` | {kind} | `{_code(_value(one.value))}` | {_cell(one.about)} |"


def _value(value: object) -> str:
    plain = {None: "null", True: "true", False: "false"}
    return plain[value] if value is None or isinstance(value, bool) else str(value) or '""'


def _code(text: str) -> str:
    """Returns a text between back quotes, where a bar ends no cell."""
    return " ".join(text.split()) or " "


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")
