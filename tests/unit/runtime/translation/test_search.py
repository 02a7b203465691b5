"""Beam search beside another one, and beside all texts there are; the greedy one beside a loop."""

from itertools import product

import numpy as np
import pytest

from maas.records.manifest import Translation
from maas.runtime.generation.sampling import log_softmax
from maas.runtime.translation.graphs import Writing
from maas.runtime.translation.search import Beams, best_texts

V, END = 5, 0
MOST = 5


class Chain:
    """Stands in for the graphs: the next token depends on the given text, its own tokens so far, and nothing else."""

    def __init__(self, seed: int, spread: float = 2.0) -> None:
        self.seed, self.spread = seed, spread
        self.rows: list[int] = []

    def logits(self, source: int, tokens: tuple[int, ...]) -> np.ndarray:
        drawn = np.random.default_rng([self.seed, source, *tokens])
        return drawn.normal(scale=self.spread, size=V).astype(np.float32)

    def read(self, given):
        source = given["source"]
        return Writing({"memory.id": source[:, :1]}, {"tokens": np.zeros((len(source), 0), np.int64)})

    def step(self, progress, tokens):
        past = np.concatenate([progress.past["tokens"], tokens[:, None]], axis=1)
        self.rows.append(len(past))
        given = progress.memory["memory.id"][:, 0].tolist()
        found = [self.logits(text, tuple(row[1:])) for text, row in zip(given, past.tolist(), strict=True)]
        return np.stack(found), Writing(progress.memory, {"tokens": past})


def logs(chain, source, tokens):
    return log_softmax(chain.logits(source, tokens)[None])[0]


def searched(chain, source, settings):
    """Returns tokens and log probability by another way to search: every continuation in one sorted list."""
    beams, best = [((), 0.0)], None
    while beams:
        continued = [
            ((*tokens, token), total + float(logs(chain, source, tokens)[token]))
            for tokens, total in beams
            for token in range(V)
        ]
        beams = []
        for tokens, total in sorted(continued, key=lambda one: -one[1]):
            if len(beams) == settings.num_beams:
                break
            if tokens[-1] == END or len(tokens) == settings.max_tokens:
                score = total / len(tokens) ** settings.length_penalty
                best = (score, tokens, total) if best is None or score > best[0] else best
            else:
                beams.append((tokens, total))
    return best[1:]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("num_beams", [2, 3, 4])
@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.0, 2.5])
def test_beam_search_is_another_ones_when_beams_are_followed_to_their_ends(seed, num_beams, length_penalty):
    chain = Chain(seed)
    settings = Translation(END, MOST, num_beams, length_penalty)
    source = np.arange(6)[:, None]
    for found, given in zip(best_texts(chain, {"source": source}, settings), range(6), strict=True):
        tokens, total = searched(chain, given, settings)
        assert found.tokens == tokens
        assert found.log_probability == pytest.approx(total, abs=1e-9)


@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_best_of_all_texts_is_found_when_every_beam_is_followed(seed, length_penalty):
    chain, most = Chain(seed), 3
    settings = Translation(END, most, V**most, length_penalty)
    texts = [tokens for size in range(1, most + 1) for tokens in product(range(V), repeat=size)]
    whole = [one for one in texts if END not in one[:-1] and (one[-1] == END or len(one) == most)]
    scores = {
        one: sum(logs(chain, 7, one[:place])[token] for place, token in enumerate(one)) / len(one) ** length_penalty
        for one in whole
    }
    (found,) = best_texts(chain, {"source": np.array([[7]])}, settings)
    assert found.tokens == max(scores, key=scores.get)
    assert found.score(length_penalty) == pytest.approx(max(scores.values()))


@pytest.mark.parametrize("seed", range(8))
def test_likeliest_token_is_taken_at_each_step_when_there_is_one_beam(seed):
    chain = Chain(seed)
    for found, given in zip(
        best_texts(chain, {"source": np.arange(9)[:, None]}, Translation(END, MOST)), range(9), strict=True
    ):
        tokens = ()
        while len(tokens) < MOST and END not in tokens:
            tokens += (int(chain.logits(given, tokens).argmax()),)
        assert found.tokens == tokens


@pytest.mark.parametrize("num_beams", [1, 3])
def test_text_is_the_one_that_it_is_alone_when_others_are_written_beside_it(num_beams):
    chain, settings = Chain(3), Translation(END, 9, num_beams)
    together = best_texts(chain, {"source": np.arange(20)[:, None]}, settings)
    assert together == [best_texts(chain, {"source": np.array([[given]])}, settings)[0] for given in range(20)]


def test_texts_that_have_ended_take_no_part_when_others_go_on():
    chain = Chain(1)
    found = best_texts(chain, {"source": np.arange(20)[:, None]}, Translation(END, 12))
    sizes = [len(one.tokens) for one in found]
    assert chain.rows == [sum(size >= step for size in sizes) for step in range(1, max(sizes) + 1)]
    assert min(sizes) < max(sizes)


def test_search_ends_early_when_no_beam_can_become_better():
    settings = Translation(END, 50, 2, length_penalty=0.0)
    beams = Beams(settings)
    sure = np.log(np.array([[0.9, 0.05, 0.03, 0.01, 0.01]]))
    assert beams.advance(sure) == []
    assert beams.best.tokens == (END,)
    longer = Beams(Translation(END, 50, 2, length_penalty=1.0))
    assert len(longer.advance(sure)) == 2, "a longer text may have the larger mean"


def test_longer_text_is_preferred_when_the_penalty_of_length_rises():
    chain = Chain(5, spread=1.0)
    sizes = [
        sum(
            len(one.tokens)
            for one in best_texts(chain, {"source": np.arange(30)[:, None]}, Translation(END, 12, 4, power))
        )
        for power in (0.0, 1.0, 3.0)
    ]
    assert sizes[0] < sizes[1] < sizes[2]
