"""Prompts that begin as another did: what is copied, what is computed, and whose place is taken first."""

import numpy as np
import pytest

from maas.runtime.generation.batch import DecodingBatch
from maas.runtime.generation.held_prompts import LEAST_SHARED
from maas.runtime.generation.settings import generation_settings

HEAD = "the model reads a prompt, naïve cafés 🙂 and 2 1 3 then more of it: "
"""Of more than `LEAST_SHARED` tokens, as the other one."""
OTHER = "1 2 3, 这是一个很棒的文本, and nothing else: "


def begun(generator, prompt: str, max_tokens: int = 4, scope: str = "", **settings):
    return generator.begin(
        prompt, generation_settings({"max_tokens": max_tokens, "ignore_end": True, **settings}), scope
    )


def finish(batch: DecodingBatch, *texts) -> list[list[int]]:
    """Generates texts to their ends, all together, and returns their tokens."""
    pieces = batch.join(texts)
    while not batch.is_empty:
        pieces += batch.step()
    return [[piece.chosen.token for owner, piece in pieces if owner is text] for text in texts]


def alone(generator, text) -> list[int]:
    """Returns the tokens of a text that shares nothing with anybody."""
    batch = DecodingBatch(generator.decoder, slots=1, length=128)
    copy = generator.begin(generator.tokenizer.decode(text.prompt), text._sampler.settings)
    assert copy.prompt.tolist() == text.prompt.tolist()
    return finish(batch, copy)[0]


def require_held_rows(generator, batch: DecodingBatch) -> None:
    """Requires that every slot holds what reading its tokens alone gives."""
    held = batch._held
    for slot, size in enumerate(held._sizes.tolist()):
        if size:
            cache = generator.decoder.new_cache(1, size)
            generator.decoder.prefill(cache, 0, [held._tokens[slot, :size].astype(np.int64)])
            for name, tensor in batch._cache.tensors.items():
                np.testing.assert_allclose(tensor[slot, :, :size], cache.tensors[name][0], atol=2e-4)


@pytest.fixture
def read_tokens(generator, monkeypatch) -> list[int]:
    """Numbers of new tokens of the runs, steps included."""
    found, extend = [], generator.decoder.extend

    def noted(cache, first, rows):
        found.append(sum(map(len, rows)))
        return extend(cache, first, rows)

    monkeypatch.setattr(generator.decoder, "extend", noted)
    return found


def test_common_beginning_is_not_computed_again_when_a_text_in_progress_has_it(generator, read_tokens):
    batch = DecodingBatch(generator.decoder, slots=3, length=128)
    first, second = begun(generator, HEAD + "one"), begun(generator, HEAD + "two 2")
    shared = next(at for at, (one, two) in enumerate(zip(first.prompt, second.prompt, strict=False)) if one != two)
    pieces = batch.join([first])
    batch.join([second])
    assert (first.cached_tokens, second.cached_tokens) == (0, shared)
    assert read_tokens == [len(first.prompt), len(second.prompt) - shared]
    assert [piece.chosen.token for _, piece in pieces] == alone(generator, first)[:1]
    require_held_rows(generator, batch)


def test_prompts_that_come_together_are_read_one_after_another_when_they_begin_alike(generator, read_tokens):
    batch = DecodingBatch(generator.decoder, slots=4, length=128)
    texts = [begun(generator, HEAD + end) for end in ("a", "b", "c")] + [begun(generator, OTHER)]
    found = finish(batch, *texts)
    computed = sum(read_tokens) - 3 * len(texts)  # the first token of each is drawn by the prompt's logits
    assert computed == sum(len(text.prompt) - text.cached_tokens for text in texts)
    assert [text.cached_tokens > LEAST_SHARED for text in texts] == [False, True, True, False]
    assert found == [alone(generator, text) for text in texts]


def test_all_but_the_last_two_tokens_are_there_when_a_prompt_comes_again(generator, read_tokens):
    batch = DecodingBatch(generator.decoder, slots=2, length=128)
    texts = [begun(generator, HEAD, temperature=0.9, seed=seed) for seed in (1, 2, 1)]
    found = [finish(batch, text)[0] for text in texts]
    size = len(texts[0].prompt)
    assert [text.cached_tokens for text in texts] == [0, size - 2, size - 2]
    assert found == [alone(generator, text) for text in texts]
    assert found[0] == found[2] != found[1]


def test_prompt_is_there_and_its_text_is_read_again_when_the_next_prompt_holds_both(generator):
    batch = DecodingBatch(generator.decoder, slots=2, length=128)
    first = begun(generator, HEAD, max_tokens=12)
    (tokens,) = finish(batch, first)
    second = begun(generator, "a", max_tokens=1)
    second.prompt = np.concatenate([first.prompt, tokens, generator.encode("and then")])
    (found,) = finish(batch, second)
    assert second.cached_tokens == len(first.prompt)
    expected = generator.decoder.prefill(generator.decoder.new_cache(1, 128), 0, [second.prompt])[0].argmax()
    assert found == [expected]


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_least_recently_used_prompt_makes_room_when_no_slot_is_empty(generator, slots):
    batch = DecodingBatch(generator.decoder, slots, length=128)
    heads = [letter * 4 + HEAD for letter in "abcd"]
    for head in heads:
        finish(batch, begun(generator, head))
    require_held_rows(generator, batch)
    kept = [batch._held.has_beginning(begun(generator, head + "!")) for head in heads]
    assert kept == [index >= len(heads) - slots for index in range(len(heads))]
    again = begun(generator, heads[-slots] + "1 2")
    finish(batch, again)
    finish(batch, begun(generator, OTHER))
    assert again.cached_tokens >= LEAST_SHARED
    assert batch._held.has_beginning(begun(generator, heads[-slots] + "!")) == (slots > 1)
    require_held_rows(generator, batch)


def test_nothing_is_shared_when_scopes_differ_or_the_common_beginning_is_short(generator):
    batch = DecodingBatch(generator.decoder, slots=3, length=128)
    finish(batch, begun(generator, HEAD + "one", scope="a"))
    other, same = begun(generator, HEAD + "two", scope="b"), begun(generator, HEAD + "two", scope="a")
    short = begun(generator, HEAD[:10] + "something else that goes on and on")
    finish(batch, other, short)
    finish(batch, same)
    assert (other.cached_tokens, short.cached_tokens) == (0, 0)
    assert same.cached_tokens >= LEAST_SHARED


def test_what_is_read_of_a_prompt_is_kept_when_its_text_leaves_in_the_middle(generator):
    batch = DecodingBatch(generator.decoder, slots=2, length=128)
    left, again = begun(generator, HEAD * 2), begun(generator, HEAD * 2)
    batch.admit([left])
    assert batch.read(20) == batch.read(5) == []
    batch.leave(left)
    assert (batch.is_empty, batch.free_slots) == (True, 2)
    assert finish(batch, again) == [alone(generator, again)]
    assert again.cached_tokens == 25


def test_nothing_is_kept_when_a_text_failed(generator, monkeypatch):
    batch, step = DecodingBatch(generator.decoder, slots=2, length=128), generator.decoder.step
    monkeypatch.setattr(generator.decoder, "step", lambda *given: np.full_like(step(*given), np.nan))
    text = begun(generator, HEAD)
    batch.join([text])
    batch.step()
    assert (text.has_failed, batch.is_empty, len(text.prompt) >= LEAST_SHARED) == (True, True, True)
    assert not batch._held._sizes.any()


def test_nothing_is_kept_when_a_run_failed(generator):
    batch = DecodingBatch(generator.decoder, slots=2, length=128)
    batch.join([begun(generator, HEAD)])
    batch.admit([begun(generator, OTHER)])
    batch.clear()
    assert (batch.is_empty, batch.free_slots) == (True, 2)
    assert not batch._held.has_beginning(begun(generator, HEAD))


@pytest.mark.parametrize("seed", range(6))
def test_texts_equal_those_alone_when_they_share_join_and_leave_at_random(generator, seed):
    random = np.random.default_rng(seed)
    slots = int(random.integers(1, 5))
    batch = DecodingBatch(generator.decoder, slots, length=128)
    letters = list("abc 这12")

    def drawn():
        head = [HEAD, OTHER, HEAD + OTHER, ""][random.integers(4)]
        sampled = {"temperature": 0.9, "seed": int(random.integers(99))} if random.random() < 0.5 else {}
        prompt = head + "".join(random.choice(letters, random.integers(1, 12)))
        return begun(generator, prompt, int(random.integers(1, 12)), str(random.integers(2)), **sampled)

    waiting, pieces, left = [drawn() for _ in range(30)], [], []
    texts = list(waiting)
    while waiting or not batch.is_empty:
        if waiting and batch.free_slots and random.random() < 0.6:
            count = int(random.integers(1, batch.free_slots + 1))
            batch.admit(waiting[:count])
            del waiting[:count]
        pieces += batch.read(int(random.integers(1, 80)))
        if batch.texts:
            pieces += batch.step()
        if random.random() < 0.05 and (running := [*batch.texts, *batch._unread]):
            left.append(running[random.integers(len(running))])
            batch.leave(left[-1])
        if random.random() < 0.2:
            require_held_rows(generator, batch)
        assert batch._held._scopes[: len(batch.texts)] == [text.scope for text in batch.texts]
    for text in texts:
        found = [piece.chosen.token for owner, piece in pieces if owner is text]
        expected = alone(generator, text)
        assert found == (expected[: len(found)] if text in left else expected)
    assert batch.free_slots == slots
    assert sum(text.cached_tokens for text in texts) > 0
