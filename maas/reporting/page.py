"""From findings to one HTML file that needs nothing else."""

from collections.abc import Callable
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from maas.explaining.colours import printable
from maas.reporting.findings import Findings
from maas.reporting.sections import Section
from maas.reporting.sections.calling import calling_section
from maas.reporting.sections.headline import headline_of
from maas.reporting.sections.measured import metrics_section, robustness_section, training_section
from maas.reporting.sections.mistakes import (
    confusion_section,
    examples_section,
    near_section,
    numbers_section,
    probabilities_section,
    slices_section,
    texts_section,
)
from maas.reporting.sections.provenance import lineage_section
from maas.reporting.sections.shipping import compression_section, latency_section, line_section
from maas.reporting.wording import LANGUAGE_TAGS, Language, Wording

PAGE_SECTIONS: tuple[Callable[[Findings, Wording], Section | None], ...] = (
    metrics_section,
    confusion_section,
    probabilities_section,
    numbers_section,
    slices_section,
    examples_section,
    texts_section,
    near_section,
    robustness_section,
    training_section,
    line_section,
    compression_section,
    latency_section,
    lineage_section,
    calling_section,
)
"""In the order of the page: how good, where wrong, rows; then how it was made, what it costs, where it comes from."""


def report_page(found: Findings, language: Language | None = None) -> str:
    """Returns the page.

    Args:
        found: what it shows.
        language: of its labels; None for all languages with a switch, of which the reader's own comes first.
    """
    words = Wording(language)
    sections = [section for make in PAGE_SECTIONS if (section := make(found, words)) is not None]
    page: str = _environment().get_template("page.html.j2").render(
        words=words,
        say=words.say,
        language=language,
        tag=LANGUAGE_TAGS[language or "en"],
        head=headline_of(found, words),
        gaps=[words.say(gap.key, **gap.values) for gap in found.gaps],
        sections=sections,
        style=Markup(files(__package__).joinpath("templates/report.css").read_text(encoding="utf-8")),  # noqa: S704
    )  # fmt: skip
    return printable(page)  # nothing on it turns its direction or hides itself


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("maas.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
