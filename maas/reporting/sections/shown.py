"""Rows to look at, and texts."""

from dataclasses import dataclass

from maas.reporting.examples import ChosenExamples
from maas.reporting.findings import Findings
from maas.reporting.sections.base import Section
from maas.reporting.wording import Wording


@dataclass(frozen=True)
class ExampleView:
    """Rows with their predictions, and whether these are numbers."""

    chosen: ChosenExamples
    is_number: bool


def examples_section(found: Findings, _: Wording) -> Section | None:
    """Returns rows with their predictions; None where none are shown."""
    chosen = found.examples
    if not (chosen.wrong or chosen.right or chosen.others):
        return None
    is_number = found.rows is not None and found.rows.errors is not None
    return Section("examples", "examples.html.j2", ExampleView(chosen, is_number))


def near_section(found: Findings, _: Wording) -> Section | None:
    """Returns pairs of rows whose vectors are near; None of models that give none."""
    return Section("near", "near.html.j2", found.near) if found.near else None


def texts_section(found: Findings, _: Wording) -> Section | None:
    """Returns prompts and what a model made of them; None of models that predict."""
    return Section("texts", "texts.html.j2", found.texts) if found.texts else None
