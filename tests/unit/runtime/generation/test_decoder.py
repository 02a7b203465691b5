"""Slots of the cache: who shares a run, what a sequence leaves behind, and what does not fit."""

import numpy as np
import pytest

from maas.errors import BundleError
from maas.records.signature import TensorSpec
from maas.runtime.generation import decoder as decoders
from maas.runtime.generation.decoder import Decoder, KeyValueCache


def logits_alone(decoder: Decoder, tokens) -> np.ndarray:
    return decoder.prefill(decoder.new_cache(1, len(tokens)), 0, [np.asarray(tokens)])[0]


@pytest.mark.parametrize("limit", [1, 8, 21, 512])
def test_logits_stay_when_prompts_share_runs_or_take_several(generator, monkeypatch, limit):
    monkeypatch.setattr(decoders, "RUN_TOKENS", limit)
    prompts = [np.arange(5, 5 + size) for size in (1, 3, 7, 20)]
    found = generator.decoder.prefill(generator.decoder.new_cache(4, 20), 0, prompts)
    monkeypatch.undo()
    for row, prompt in zip(found, prompts, strict=True):
        np.testing.assert_allclose(row, logits_alone(generator.decoder, prompt), atol=1e-5)


@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        ([5], 1),
        ([5, 5, 5], 3),
        ([5, 13], 2),
        ([5, 14], 1),  # nine tokens of padding cost more than a run
        ([5, 9, 13, 14], 4),  # 4, then 2 · 4, then 3 · 1
        ([5, 9, 14], 2),  # 2 · 5
        ([14, 5], 1),
        ([600], 1),
        ([200, 200, 200], 2),
        ([1, 1, 2, 3], 2),  # those of one token are rounded as steps are
        ([2, 1], 1),
    ],
)
def test_prompts_share_a_run_when_their_padding_is_cheaper_than_another(sizes, count):
    assert decoders.prompts_of_a_run(sizes) == count


@pytest.mark.parametrize(
    ("rest", "most", "sizes"),
    [
        (1, 64, [1]),
        (64, 64, [64]),
        (65, 64, [63, 2]),
        (66, 64, [64, 2]),
        (129, 64, [64, 63, 2]),
        (3, 2, [3]),
        (5, 1, [2, 3]),
        (4, 3, [2, 2]),
    ],
)
def test_no_run_reads_one_token_when_a_longer_prompt_is_divided(rest, most, sizes):
    found = []
    while rest:
        found.append(decoders.tokens_of_a_run(rest, most))
        rest -= found[-1]
    assert found == sizes


@pytest.mark.parametrize("limit", [1, 8, 32])
def test_logits_of_eight_bits_stay_when_a_prompt_is_divided_or_shares_its_run(eight_bit_generator, monkeypatch, limit):
    decoder = eight_bit_generator.decoder
    prompts = [np.arange(7, 7 + size) for size in (1, 2, 9, 17, 33)]
    expected = [logits_alone(decoder, prompt) for prompt in prompts]
    monkeypatch.setattr(decoders, "RUN_TOKENS", limit)
    found = decoder.prefill(decoder.new_cache(5, 40), 0, prompts)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_slot_continues_when_another_sequence_was_there_before(generator):
    decoder = generator.decoder
    cache = decoder.new_cache(2, 16)
    decoder.prefill(cache, 0, [np.arange(10, 26), np.arange(40, 43)])
    cache.swap(0, 1, 16, 3)
    cache.clear(1)
    assert cache.lengths.tolist() == [3, 0]
    np.testing.assert_allclose(decoder.step(cache, [50])[0], logits_alone(decoder, [40, 41, 42, 50]), atol=1e-5)


def test_run_writes_into_the_cache_when_it_ends(generator):
    decoder = generator.decoder
    cache = decoder.new_cache(1, 4)
    decoder.prefill(cache, 0, [np.array([5, 6])])
    for tensor in cache.tensors.values():
        assert tensor[0, :, :2].any(axis=2).all()
        assert not tensor[0, :, 2:].any()


def test_sequence_is_refused_when_it_does_not_fit(generator):
    cache = generator.decoder.new_cache(1, 3)
    generator.decoder.prefill(cache, 0, [np.array([5, 6, 7])])
    with pytest.raises(ValueError, match="A sequence of 4 tokens does not fit into a cache of 3"):
        generator.decoder.step(cache, [8])
    assert cache.lengths.tolist() == [3]


def test_several_tokens_are_refused_when_sequences_in_use_share_the_run(generator):
    cache = generator.decoder.new_cache(2, 8)
    generator.decoder.prefill(cache, 0, [np.array([5]), np.array([6])])
    with pytest.raises(ValueError, match="one token each, or several one sequence alone"):
        generator.decoder.extend(cache, 0, [np.array([7, 8]), np.array([9])])


def test_file_is_refused_when_it_does_not_keep_what_the_manifest_says(generator, bundles, tmp_path):
    folder = bundles.array_bundle(tmp_path / "bundle", width=4, labels=3)
    with pytest.raises(BundleError, match=r"model\.onnx has no last_positions, which its manifest promises"):
        Decoder(folder / "model.onnx", ())


def test_cache_has_its_shape_when_it_is_made():
    cache = KeyValueCache([TensorSpec("key.0", "FP32", (-1, 3, -1, 16))], slots=2, length=5)
    assert {name: tensor.shape for name, tensor in cache.tensors.items()} == {"key.0": (2, 3, 5, 16)}
