"""Windows of sounds."""

import numpy as np
import pytest

from maas.explaining.parts import parts_of
from maas.runtime.processors.audio import AudioProcessor

SAMPLES = np.random.default_rng(0).uniform(-1, 1, 8000).astype(np.float32)
PROCESSOR = AudioProcessor(rate=8000, seconds=1.0)


def encoded(processor, row) -> np.ndarray:
    return processor.arrays([row])[0]


def test_window_alone_is_heard_when_only_it_is_kept(only):
    parts = parts_of(SAMPLES, PROCESSOR, None, None)
    row = only(parts, 3)
    assert parts.parts[3].place == (1200, 1600)
    assert parts.parts[3].name == "0.150–0.200 s"
    np.testing.assert_array_equal(row[1220:1580], SAMPLES[1220:1580])  # 5 ms of fading lie across each edge
    assert not row[:1180].any()
    assert not row[1620:].any()


@pytest.mark.parametrize("most", [1, 2, 7, 20, 8000])
def test_windows_add_up_to_the_sound_when_each_is_heard_alone(only, most):
    parts = parts_of(SAMPLES, PROCESSOR, most, None)
    assert len(parts.parts) == most
    alone = sum(only(parts, index).astype(np.float64) for index in range(min(most, 50)))
    end = parts.parts[min(most, 50) - 1].place[1] - (0 if most <= 50 else 1)
    np.testing.assert_allclose(alone[:end], SAMPLES[:end], atol=1e-6)
    assert not only(parts).any()


def test_sound_is_the_models_own_when_every_window_is_kept(only):
    row = {"samples": SAMPLES, "rate": 16000}
    parts = parts_of(row, PROCESSOR, None, None)
    kept = only(parts, *range(20))
    np.testing.assert_array_equal(encoded(PROCESSOR, kept), encoded(PROCESSOR, row))
