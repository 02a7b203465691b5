"""Sounds become windows that lose nothing and are cut where it is quiet; tokens become text."""

import numpy as np
import pytest
from tokenizers import AddedToken

from maas.errors import InputError
from maas.runtime.processors.spoken_text import RATE, SpokenTextProcessor, sound_windows
from tests.unit import tiny_whisper


def loud(count):
    return np.random.default_rng(0).uniform(-0.5, 0.5, count).astype(np.float32)


@pytest.fixture
def processor():
    return SpokenTextProcessor(window_s=2.0, max_windows=3)


@pytest.mark.parametrize("count", [1, 1000, 2 * RATE])
def test_short_sound_is_one_window_filled_up_with_silence_when_it_is_read(processor, count):
    (found,) = processor.arrays([loud(count)])
    assert found.shape == (1, 2 * RATE)
    np.testing.assert_array_equal(found[0, :count], loud(count))
    assert not found[0, count:].any()


def test_long_sound_is_cut_in_the_middle_of_a_pause_when_its_window_ends_with_one():
    sound = loud(3 * RATE)
    sound[26000:30000] = 0
    first, second = sound_windows(sound, 2 * RATE)
    cut = int(np.flatnonzero(first)[-1]) + 1
    assert cut == 26000, "what is cut is silent on both sides"
    assert not second[:1000].any()
    start = int(np.flatnonzero(second)[0])
    np.testing.assert_array_equal(second[start : start + RATE], sound[30000 : 30000 + RATE])


@pytest.mark.parametrize("count", [2 * RATE + 1, 3 * RATE, 4 * RATE + 5])
def test_no_sample_is_lost_when_nothing_is_quiet(count):
    sound = loud(count) + np.float32(0.6)
    joined = np.concatenate([window[window != 0] for window in sound_windows(sound, 2 * RATE)])
    np.testing.assert_array_equal(joined, sound)


def test_cut_lies_in_the_last_third_when_all_is_silent():
    windows = list(sound_windows(np.zeros(5 * RATE, np.float32), 2 * RATE))
    assert 3 <= len(windows) <= 4


def test_sound_is_refused_when_it_has_too_many_windows(processor):
    with pytest.raises(InputError, match=r"^Row 1 lasts 7\.0 s; the model hears 3 windows of 2 s\. Send it in parts"):
        processor.preprocess([loud(10), loud(7 * RATE)])


def test_rows_of_as_many_windows_share_a_batch_when_they_are_joined(processor):
    rows = processor.preprocess([loud(1000), loud(3 * RATE), loud(2000)])
    assert [processor.bucket(row) for row in rows] == [1, 2, 1]
    assert processor.batch([rows[0], rows[2]])["samples"].shape == (2, 1, 2 * RATE)


def test_sound_is_resampled_when_it_comes_at_another_rate(processor):
    (found,) = processor.arrays([{"samples": loud(8000), "rate": 8000}])
    assert np.flatnonzero(found[0])[-1] == pytest.approx(RATE, abs=10)


def test_time_marks_are_left_out_of_texts_when_the_tokenizer_does_not_hold_them_for_special():
    tokenizer = tiny_whisper.tokenizer()
    tokenizer.add_tokens([AddedToken("<|0.00|>", special=False), AddedToken("<|12.34|>", special=False)])
    processor = SpokenTextProcessor(content=tokenizer.to_str())
    marks = [tokenizer.token_to_id(name) for name in ("<|0.00|>", "<|12.34|>")]
    said = tokenizer.encode(" <|x|> on", add_special_tokens=False).ids
    assert processor.text_of([marks[0], *said, marks[1]]) == processor.text_of(said)


def test_samples_are_those_of_all_windows_when_a_sound_is_looked_at(processor):
    np.testing.assert_array_equal(processor.samples_of(loud(5 * RATE)), loud(5 * RATE))
