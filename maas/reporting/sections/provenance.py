"""Where a model comes from, row by row: recipe, code, data, digests, machine, licences."""

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from maas.reporting.findings import Findings
from maas.reporting.sections import Section
from maas.reporting.sections.shipping import machine_text
from maas.reporting.wording import Wording

LICENCES = ("license", "licence", "copying", "notice")


@dataclass(frozen=True)
class Fact:
    """A line of what is known.

    Args:
        name: what it is, as HTML.
        value: as HTML; data in it is escaped.
        is_code: whether it is shown as code, such as a digest.
    """

    name: Markup
    value: Markup
    is_code: bool = False


def lineage_section(found: Findings, words: Wording) -> Section:
    """Returns what is known of where the model comes from."""
    facts = tuple(
        Fact(words.say(f"fact_{key}"), value, is_code) for key, value, is_code in _facts(found, words) if value
    )
    return Section("lineage", "lineage.html.j2", facts)


def _facts(found: Findings, words: Wording) -> Iterator[tuple[str, Markup, bool]]:
    bundle, lineage = found.model.bundle, found.model.bundle.manifest.lineage
    yield "recipe", Markup.escape(lineage.recipe), False
    yield "overrides", Markup.escape(" ".join(lineage.overrides)), True
    training = found.model.training
    if training is not None and training.net is not None:
        yield "net", Markup.escape(training.net.target), True
    yield "seed", Markup.escape(lineage.seed), False
    yield "commit", Markup.escape(lineage.git_commit or ""), True
    yield "maas", Markup.escape(lineage.maas_version), False
    yield from _data_facts(found, words)
    yield "manifest", Markup.escape(bundle.digest), True
    yield "recipe_digest", Markup.escape(lineage.config_sha256), True
    yield "pins_digest", Markup.escape(lineage.constraints_sha256), True
    yield "graph_digest", _graphs(found), True
    yield "licences", Markup.escape(", ".join(_licences(found))), False


def _data_facts(found: Findings, words: Wording) -> Iterator[tuple[str, Markup, bool]]:
    evidence = found.model.evidence
    if evidence is None:
        yield "fingerprint", Markup.escape(found.model.bundle.manifest.lineage.data_fingerprint), True
        return
    splits = [
        words.say("rows_of_split", split=words.name("split", name), rows=rows)
        for name, rows in evidence.data.rows.items()
    ]
    yield "rows", Markup(", ").join(splits), False
    removed = [
        words.say("rows_of_split", split=words.name("removed", name), rows=rows)
        for name, rows in evidence.data.removed.items()
    ]
    yield "removed", Markup(", ").join(removed), False
    yield "fingerprint", Markup.escape(evidence.data.fingerprint), True
    yield "measured", Markup.escape(evidence.measured_at), False
    yield "machine", machine_text(evidence.machine, words), False
    yield "parent", Markup.escape(evidence.parent_sha256), True


def _graphs(found: Findings) -> Markup:
    manifest = found.model.bundle.manifest
    listed = [f"{name} {manifest.files.get(name, '')}" for name in dict.fromkeys(manifest.graphs.values())]
    return Markup("<br>").join(listed)


def _licences(found: Findings) -> list[str]:
    return [name for name in found.model.bundle.manifest.files if name.rpartition("/")[2].lower().startswith(LICENCES)]
