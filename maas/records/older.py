"""Records that earlier versions of maas wrote, in today's words. Only for reading: nothing writes an old version."""

from collections.abc import Mapping
from typing import Any

Record = Mapping[str, Any]
"""A JSON object, as it was read."""


def manifest_today(record: Record) -> Record:
    """Returns a manifest of version 1 (`answer`, one graph) as one of version 2; any other as it is."""
    if record.get("schema_version") != 1:
        return record
    today = {**_renamed(record, {"answer": "postprocessor"}), **_processor(record)}
    return {**today, "schema_version": 2, "graphs": {"predict": "model.onnx"}}


def checkpoint_today(record: Record) -> Record:
    """Returns a checkpoint's record of version 2 (`answer`) as one of version 3 (`postprocessor`); others stay."""
    if record.get("schema_version") != 2:
        return record
    return {**_renamed(record, {"answer": "postprocessor"}), **_processor(record), "schema_version": 3}


def rules_today(record: Record) -> Record:
    """Returns a table of rules that names its input `feed` as one of today; others as they are."""
    return _renamed(record, {"feed": "model_input"})


def golden_today(record: Record) -> Record:
    """Returns golden outputs of `predictions` and `answers` as `scores` and `predictions`; others as they are."""
    return _renamed(record, {"predictions": "scores", "answers": "predictions"}) if "answers" in record else record


def evidence_today(record: Record) -> Record:
    """Returns evidence of version 2 with its search in today's words; others as they are."""
    search = record.get("compression")
    return {**record, "compression": compression_today(search)} if isinstance(search, Mapping) else record


def compression_today(record: Record) -> Record:
    """Returns a search as evidence of version 2 recorded it (`given_up`, `controls`, `links`) in today's words."""
    found = _renamed(record, {"given_up": "pruned_trials", "controls": "scratch_baselines"})
    candidates = found.get("candidates")
    if isinstance(candidates, list):
        names = {"links": "applied_passes"}
        found["candidates"] = [_renamed(one, names) if isinstance(one, Mapping) else one for one in candidates]
    return found


def _processor(record: Record) -> dict[str, Any]:
    processor = record.get("processor")
    if not isinstance(processor, Mapping) or processor.get("kind") != "pretrained_text":
        return {}
    return {"processor": _renamed(processor, {"feeds": "model_inputs"})}


def _renamed(record: Record, names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in record.items()}
