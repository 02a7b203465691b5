"""What a sweep remembers of its trials."""

import pytest

from maas.sweeping.folder import SweepFolder, TrialRecord


@pytest.mark.parametrize("content", [b"", b'{"overrides": ["a=1"], "value": "x"}', b'{"overrides": ["\xff"]}'])
def test_trial_counts_as_not_tried_with_a_warning_when_its_record_cannot_be_read(tmp_path, caplog, content):
    folder = SweepFolder(tmp_path)
    folder.keep(TrialRecord(["a=1"], 0.5, ended="1"))
    folder.keep(TrialRecord(["a=2"], 0.7, ended="2"))
    (broken,) = (file for file in (tmp_path / "trials").iterdir() if b"a=1" in file.read_bytes())
    broken.write_bytes(content)
    assert folder.trial(["a=1"]) is None
    assert folder.trials() == [TrialRecord(["a=2"], 0.7, ended="2")]
    assert [message.partition(": ")[0] for message in caplog.messages] == [f"{broken} is passed over"] * 2
    folder.keep(TrialRecord(["a=1"], 0.6, ended="3"))
    assert [trial.value for trial in folder.trials()] == [0.7, 0.6]


def test_credentials_of_addresses_stay_out_of_a_trial_when_it_is_kept(tmp_path):
    folder, overrides = SweepFolder(tmp_path), ["registry.tracking_uri=http://user:secret@host", "seed=1"]
    folder.keep(TrialRecord(overrides, None, "http://user:secret@host is away", ended="1"))
    kept = folder.trial(overrides)
    assert kept.overrides == ["registry.tracking_uri=http://user:***@host", "seed=1"]
    assert kept.reason == "http://user:***@host is away"
