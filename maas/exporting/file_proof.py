"""Proving a smaller ONNX file against the file that it was made of; it stays without manifest and evidence."""

from pathlib import Path

import msgspec

from maas.evidence.machine import this_machine
from maas.evidence.parity import parity_of, require_parity
from maas.exporting.source import Source
from maas.files import sha256_of
from maas.records.evidence import DataRecord, Interval, Machine, Parity


class FileProof(msgspec.Struct, frozen=True):
    """What was measured of a smaller ONNX file on rows that neither calibrated nor chose: `proof.json`.

    Args:
        given_sha256: digest of the file that was given.
        shipped_sha256: digest of the smaller one.
        machine: where it was measured.
        data: the rows.
        metrics: metrics of both files by name; none where rows have no targets.
        parity: how often both answer alike.
    """

    given_sha256: str
    shipped_sha256: str
    machine: Machine
    data: DataRecord
    metrics: dict[str, dict[str, Interval]]
    parity: Parity


def prove_file(source: Source, given: Path, shipped: Path, *, min_agreement: float) -> FileProof:
    """Compares two ONNX files of the same inputs and outputs on the test rows.

    Args:
        source: its codec and rows.
        given: the file as it was given.
        shipped: the file that ships, which may be the same.
        min_agreement: fraction of rows whose prediction another file must keep.

    Raises:
        ParityError: it does not predict as the given file.
    """
    test, task_metrics, files = source.rows.test, source.task_metrics, (given, shipped)
    named = zip(("given", "shipped"), files, strict=True)
    scores = {name: source.predictor(file).scores(test.inputs) for name, file in named}
    before, after = map(sha256_of, files)
    parity = parity_of(task_metrics, "given", "shipped", scores["given"], scores["shipped"])
    if before != after:
        advice = " Nothing was written. Leave the pass out, or set a lower export.min_agreement."
        require_parity(parity, min_agreement=min_agreement, where=advice)
    targets = test.targets
    metrics = {} if targets is None else {name: task_metrics.compute(targets, own) for name, own in scores.items()}
    return FileProof(before, after, this_machine(), source.rows.record, metrics, parity)
