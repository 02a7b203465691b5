"""What version 2 of the evidence recorded of a search can still be read."""

import json
from pathlib import Path

import pytest

from maas.files import read_json
from maas.records.evidence import CompressionRecord, Evidence, Interval
from maas.records.older import compression_today, evidence_today

RECORDED = Path(__file__).with_name("compression_v2.json")
"""As `compress=search` wrote it for digits_mlp, shortened to five candidates."""
REST = {
    "schema_version": 2,
    "manifest_sha256": "0" * 64,
    "measured_at": "2026-11-29T18:10:30Z",
    "machine": {"processor": "x", "cores": 2, "memory_bytes": 1, "system": "x", "python": "3.11", "onnxruntime": "1"},
    "data": {"fingerprint": "f", "rows": {}, "removed": {}},
    "metrics": {},
    "parity": [],
    "seconds": {},
}


def test_record_of_version_2_has_todays_names_when_it_is_read():
    record = read_json(RECORDED, CompressionRecord, compression_today)
    assert record.pruned_trials == {"prune-distil-2": "prune-distil-1 is good enough and no larger"}
    assert record.scratch_baselines == ("control0", "control0-quantize_static")
    pruned, chosen = record.candidate("prune-distil-1"), record.candidate(record.chosen)
    assert [(one.name, one.target.rpartition(".")[2]) for one in pruned.applied_passes] == [
        ("prune", "Prune"),
        ("distil", "Distil"),
    ]
    assert chosen.applied_passes[0].name == "from_scratch"
    assert isinstance(chosen.metric, Interval)
    assert record.candidate("fp32").applied_passes == ()


def test_evidence_of_version_2_has_the_same_record_when_it_is_read(tmp_path):
    path = tmp_path / "evidence.json"
    path.write_text(json.dumps({**REST, "compression": json.loads(RECORDED.read_text())}))
    assert read_json(path, Evidence, evidence_today).compression == read_json(
        RECORDED, CompressionRecord, compression_today
    )
    path.write_text(json.dumps({**REST, "compression": None}))
    assert read_json(path, Evidence, evidence_today).compression is None


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ([], "Expected `object`, got `array`"),
        ({"candidates": 3}, "Expected `array`, got `int` - at `$.candidates`"),
        ({"chosen": 3}, "Expected `str`, got `int` - at `$.chosen`"),
        ({"metric": None}, "Object missing required field"),
        ({**REST, "compression": [3]}, "Expected `object | null`, got `array` - at `$.compression`"),
        ({**REST, "compression": {"candidates": [3]}}, "Expected `object`, got `int`"),
    ],
)
def test_fault_is_one_line_when_a_record_does_not_hold_what_it_should(tmp_path, content, fault):
    path = tmp_path / "evidence.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="^[^\\n]*$") as caught:
        read_json(
            path, *((Evidence, evidence_today) if "compression" in content else (CompressionRecord, compression_today))
        )
    assert fault in str(caught.value)
