"""How a model is served and called, as one types it."""

from dataclasses import dataclass
from pprint import pformat

from maas.reporting.findings import Findings
from maas.reporting.sections import Section
from maas.reporting.wording import Wording
from maas.serving.examples import completion_call, example_call

PORT = "localhost:8080"
SHORT = 200
"""Characters of a row that is written out."""


@dataclass(frozen=True)
class Commands:
    """What one types.

    Args:
        serve: shell command that serves the model.
        call: shell command that sends it a row.
        python: Python that predicts.
        again: shell command that makes this page again.
    """

    serve: str
    call: str
    python: str
    again: str


def calling_section(found: Findings, _: Wording) -> Section:
    """Returns commands for the model."""
    bundle, address = found.model.bundle, found.model.address
    loaded = f'import maas\n\nmodel = maas.load("{address}")\n'
    again = f"python -m maas.report {address}"
    serve = f"python -m maas.serve model={address}"
    if bundle.is_generative:
        python = f'{loaded}print(model.generate("In the beginning", max_tokens=16).text)'
        return Section("calling", "calling.html.j2", Commands(serve, completion_call(PORT), python, again))
    row = bundle.golden.inputs[0]
    written = pformat(row, width=90, compact=True)
    is_shown = found.shows_rows and len(written) <= SHORT
    url = f"{PORT}/v1/{bundle.manifest.task}"
    call = example_call(bundle.load_processor(), url, row if found.shows_rows else "…")
    python = f"{loaded}print(model.predict([{written if is_shown else '…'}]))"
    return Section("calling", "calling.html.j2", Commands(serve, call, python, again))
