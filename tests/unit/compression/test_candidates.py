"""What lies in a search's store is taken as it is only where it is whole."""

from pathlib import Path

import msgspec
import pytest

from maas.compression.candidates import measured_before
from maas.compression.pipeline import Variant
from maas.compression.store import reopened, seconds_of
from maas.files import sha256_of
from maas.records.evidence import CandidateRecord


@pytest.fixture
def place(tmp_path) -> Path:
    """A measured variant: the model as exported, one made of it, and one that failed."""
    (tmp_path / "fp32.onnx").write_bytes(b"exported")
    (tmp_path / "int8.onnx").write_bytes(b"quantised")
    records = [
        CandidateRecord("fp32", "", sha256_of(tmp_path / "fp32.onnx"), 8, 0.1),
        CandidateRecord("int8", "x", sha256_of(tmp_path / "int8.onnx"), 9, 0.1, parent="fp32"),
        CandidateRecord("half", "x", "", 0, 0.1, parent="fp32", reasons=("failed",)),
    ]
    (tmp_path / "candidates.json").write_bytes(msgspec.json.encode(records))
    return tmp_path


def test_variant_is_read_under_the_name_of_its_pipeline_when_it_is_whole(place, caplog):
    found = measured_before(Variant("prune", None), place)
    assert [record.name for record in found.records] == ["prune", "prune-int8", "prune-half"]
    assert found.model("prune-int8") == place / "int8.onnx"
    assert measured_before(Variant("", None), place / "nowhere") is None
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("file", "content", "fault"),
    [
        ("candidates.json", b"", "Input data was truncated"),
        ("candidates.json", b'[{"name": "fp32"}]', "Object missing required field"),
        ("candidates.json", b'[{"name": "\xff"}]', "'utf-8' codec can't decode byte 0xff"),
        ("int8.onnx", b"quantized", "int8.onnx was altered"),
        ("fp32.onnx", None, "No such file or directory"),
    ],
)
def test_variant_is_made_again_with_one_warning_when_a_file_of_it_was_damaged(place, caplog, file, content, fault):
    (place / file).unlink()
    if content is not None:
        (place / file).write_bytes(content)
    assert measured_before(Variant("", None), place) is None
    (warning,) = caplog.messages
    assert warning.startswith(f"{place} is passed over, and its candidates are made again: ")
    assert fault in warning


def test_checkpoint_is_made_again_with_one_warning_when_it_was_damaged(tmp_path, caplog):
    assert reopened(tmp_path) is None
    assert caplog.messages == []
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint/checkpoint.json").write_bytes(b"{}")
    assert reopened(tmp_path) is None
    (warning,) = caplog.messages
    assert warning.startswith(f"{tmp_path / 'checkpoint'} is passed over, and made again: ")


@pytest.mark.parametrize(("content", "seconds"), [(b"1.5", 1.5), (b"", 0.0), (b"null", 0.0), (None, 0.0)])
def test_seconds_are_none_when_they_cannot_be_read(tmp_path, content, seconds):
    if content is not None:
        (tmp_path / "seconds.json").write_bytes(content)
    assert seconds_of(tmp_path) == seconds
