"""Sounds of any length share a batch with their lengths; one that is too long is refused, and never cut."""

import numpy as np
import pytest

from maas.errors import ConfigError, InputError
from maas.runtime.processors import load_processor
from maas.runtime.processors.speech import SpeechProcessor

RATE = 8000


@pytest.fixture
def processor() -> SpeechProcessor:
    return SpeechProcessor(RATE, seconds=2.0, pad_seconds=0.5)


def ramp(count: int) -> np.ndarray:
    return np.linspace(-0.5, 0.5, count, dtype=np.float32)


def test_samples_are_all_there_when_a_sound_comes_at_the_models_rate(processor):
    for count in (1, 1000, 2 * RATE):
        (found,) = processor.arrays([ramp(count)])
        np.testing.assert_array_equal(found, ramp(count))


@pytest.mark.parametrize("rate", [1000, 11025, 16000, 44100])
def test_sound_keeps_its_length_in_seconds_when_it_is_resampled(processor, rate):
    for seconds in (0.3, 1.234, 2.0):
        (found,) = processor.arrays([{"samples": ramp(round(seconds * rate)), "rate": rate}])
        assert len(found) == pytest.approx(seconds * RATE, abs=RATE / rate + 1)
        assert len(found) <= 2 * RATE


def test_shortest_sound_is_a_sample_when_resampling_leaves_none(processor):
    (found,) = processor.arrays([{"samples": [0.5], "rate": 192_000}])
    assert found.shape == (1,)


def test_rows_are_filled_up_with_silence_when_they_share_a_batch(processor):
    rows = processor.preprocess([ramp(1000), ramp(4001), ramp(4000)])
    assert [processor.bucket(row) for row in rows] == [4000, 8000, 4000]
    batch = processor.batch(rows)
    assert batch["samples"].shape == (3, 8000)
    assert batch["lengths"].tolist() == [1000, 4001, 4000]
    assert batch["lengths"].dtype == np.int64
    for samples, length in zip(batch["samples"], batch["lengths"], strict=True):
        np.testing.assert_array_equal(samples[:length], ramp(length))
        assert not samples[length:].any()


def test_longest_row_is_not_filled_up_beyond_the_limit_when_it_is_no_multiple():
    processor = SpeechProcessor(RATE, seconds=1.1, pad_seconds=0.5)
    assert processor.bucket(processor.preprocess([ramp(8700)])[0]) == 8800


def test_longer_sound_is_refused_with_both_lengths_when_it_comes(processor):
    with pytest.raises(InputError) as caught:
        processor.preprocess([ramp(10), ramp(2 * RATE + 1000)])
    assert str(caught.value) == ("Row 1 lasts 2.1 s; the model hears at most 2 s. Send it in parts, cut at pauses.")


def test_it_is_the_same_when_it_is_rebuilt_from_its_record(processor, tmp_path):
    record = processor.record()
    assert record == {"kind": "speech", "rate": RATE, "seconds": 2.0, "pad_seconds": 0.5}
    assert load_processor(record, tmp_path).record() == record
    assert processor.net_arguments == {"rate": RATE, "samples": 2 * RATE}


def test_more_samples_than_are_read_are_refused_when_it_is_built():
    with pytest.raises(ConfigError, match=r"^processor\.rate × processor\.seconds is 48000 × 1000"):
        SpeechProcessor(48000, 1000.0)
