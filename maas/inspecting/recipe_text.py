"""A proposal as the text of a recipe: at most 30 lines, with what is chosen and why."""

from collections.abc import Iterator, Mapping

import yaml

from maas.inspecting.models import BLEND
from maas.inspecting.proposal import RecipeProposal

MOST_LINES = 30
SHOWN_CLASSES = 6


def recipe_text(proposal: RecipeProposal, command: str, file: str) -> str:
    """Returns the recipe of a proposal.

    Args:
        proposal: what is proposed.
        command: what was typed, for its first lines.
        file: name of the recipe's file, for its first lines.
    """
    head = (" ".join(line.splitlines()) for line in _head(proposal, command, file))  # names may hold line breaks
    lines = [*head, "defaults:", *_defaults(proposal), ""]
    for name, value in proposal.settings.items():
        lines += _section(name, value, proposal)
    return "\n".join(lines) + "\n"


def _head(proposal: RecipeProposal, command: str, file: str) -> Iterator[str]:
    target, data = proposal.target, proposal.data
    what = f"{target.name} of {data.origin}" if target.name else f"The labels of {data.origin}"
    number = f"{len(target.labels)} classes" if target.labels else "a number"
    yield f"# {what}, {number}, from {data.rows:,} {'files' if data.files else 'rows'}: {proposal.model.reason}."
    yield f"# Written by `{command}`; change what you like, and run it: maas run recipe={file}"


def _defaults(proposal: RecipeProposal) -> Iterator[str]:
    for section, part in proposal.parts.items():
        yield f"  - override /{section}: {'null' if part is None else part}"


def _section(name: str, value: object, proposal: RecipeProposal) -> Iterator[str]:
    if not isinstance(value, Mapping):
        comment = f"    # {proposal.target.reason}" if name == "task" and proposal.target.reason else ""
        yield f"{name}: {_flow(value)}{comment}"
        return
    yield f"{name}:"
    for key, inner in value.items():
        comment = f"    # {_comment(name, key, proposal)}" if _comment(name, key, proposal) else ""
        yield f"  {key}: {_flow(inner)}{comment}"


def _comment(section: str, key: str, proposal: RecipeProposal) -> str:
    if (section, key) == ("data", "repeats"):
        return "equal rows are observations of their own: such columns have few values"
    if (section, key) == ("processor", "dates"):
        return "become year, month, day, weekday, hour and days since 1970"
    if (section, key) == ("model", "estimator") and BLEND in str(proposal.settings["model"]):
        return "settings and weights that do best in five folds of the training rows"
    if (section, key) == ("data", "source") and proposal.left_out:
        return f"left out: {', '.join(map(repr, proposal.left_out))}"
    if (section, key) == ("objective", "loss") and proposal.target.is_unbalanced:
        return "rare classes count as much as frequent ones"
    return ""


def _flow(value: object) -> str:
    """Returns a value as YAML on one line."""
    text: str = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=10**9, sort_keys=False)
    return text.strip()[1:-1]
