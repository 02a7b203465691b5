"""What the head of recommendations keeps: batches that are cut by chance, rankings, metrics and agreement."""

import numpy as np
import pytest
import torch

from maas.config.schema import METRICS
from maas.data.histories import Histories
from maas.data.packing import NO_TARGET
from maas.data.ranked import RANKING_METRICS
from maas.data.splits import Split
from maas.errors import ConfigError
from maas.evidence.task_metrics import task_metrics_of
from maas.runtime.processors.array import ArrayProcessor
from maas.runtime.processors.items import ItemsProcessor
from maas.runtime.rankings import Rankings
from maas.training.heads import task_head_of

NAMES = tuple(f"i{number}" for number in range(12))
HEAD = task_head_of("recommendation", NAMES)
TASK_METRICS = task_metrics_of("recommendation", ())


def lists(*rows: list[int]) -> np.ndarray:
    return np.fromiter((np.array(row, dtype=np.int64) for row in rows), dtype=object, count=len(rows))


@pytest.fixture
def processor() -> ItemsProcessor:
    return ItemsProcessor(pad_multiple=4).fit([list(NAMES[: 12 - number]) for number in range(12)])


@pytest.fixture
def train() -> Split:
    items = np.concatenate([np.arange(12), np.arange(6), [3]])
    return Split(Histories(NAMES, items, np.array([0, 12, 18, 19]), ["a", "b", "c"]), lists([], [], []))


def test_metrics_are_those_of_a_recipe_when_they_are_listed():
    assert METRICS["recommendation"] == RANKING_METRICS == tuple(TASK_METRICS.drop_scale)
    assert set(HEAD.metrics().keys()) == set(RANKING_METRICS)


def test_what_is_wanted_came_later_and_is_not_given_when_a_row_is_cut(processor, train):
    batches = HEAD.dataset(train, processor)
    cuts = set()
    for order in ([0, 1, 2], [1, 0, 2], [2, 1, 0], [0, 2, 1], [0], [1]):
        batch = batches[order]
        for row, items, wanted in zip(order, batch.inputs["items"], batch.targets, strict=True):
            given, later = set(items[items < 12].tolist()), set(wanted[wanted != NO_TARGET].tolist())
            assert later
            assert max(given, default=-1) < min(later)  # here the numbers are the order of time
            cuts.add((row, len(given)))
        torch.testing.assert_close(batches[order].targets, batch.targets)
        torch.testing.assert_close(batches.targets_of(np.array(order)), batch.targets)
    assert len({given for row, given in cuts if row == 0}) > 1


def test_row_is_given_whole_when_it_has_targets(processor):
    split = Split([{"items": ["i0", "i1"]}, []], lists([5, 7], [2]))
    batch = HEAD.dataset(split, processor)[[0, 1]]
    assert batch.inputs["items"].tolist() == [[1, 0, 12, 12], [12] * 4]
    assert batch.targets.tolist() == [[5, 7], [2, NO_TARGET]]
    assert batch.inputs["wanted"].tolist() == [[5, 7], [2, 12]]


def test_processor_is_refused_when_it_numbers_other_items(train):
    for other in (ArrayProcessor([3]), ItemsProcessor().fit([["z", "y"]])):
        with pytest.raises(ConfigError, match="task recommendation ranks the items of processor=items"):
            HEAD.dataset(train, other)


def test_rankings_end_where_rows_want_them_to_when_a_net_answers():
    logits = torch.full((3, 12), -torch.inf)
    logits[:, :5] = torch.tensor([0.5, 3.0, 1.0, 2.0, 0.0])
    inputs = {"items": torch.tensor([[4, 12], [12, 12], [0, 1]]), "top_k": torch.tensor([2, 10, 1])}

    class Net(torch.nn.Module):
        def forward(self, **_):
            return logits

    found = Rankings.of(HEAD.answered(Net(), inputs).numpy())
    assert found.items[:, :6].tolist() == [[1, 3, -1, -1, -1, -1], [1, 3, 2, 0, 4, -1], [1, -1, -1, -1, -1, -1]]
    assert found.scores[0].tolist() == [3, 2, *[0] * 10]
    assert found.known.tolist() == [1, 0, 2]


def test_validation_metrics_are_those_of_evidence_when_both_see_the_same_rows():
    logits = torch.randn(9, 12, generator=torch.Generator().manual_seed(0))
    wanted = lists(*([number % 12, (number + 5) % 12] for number in range(9)))
    watched, rankings = HEAD.metrics(), HEAD.predicted(logits)
    watched.update(rankings[:4], torch.from_numpy(np.stack(list(wanted[:4]))))
    watched.update(rankings[4:], torch.from_numpy(np.stack(list(wanted[4:]))))
    evidence = TASK_METRICS.compute(wanted, rankings.numpy())
    for name, value in watched.compute().items():
        assert evidence[name].value == pytest.approx(float(value))
        assert evidence[name].low <= evidence[name].value <= evidence[name].high


def test_drop_is_the_difference_in_points_when_a_child_is_worse():
    wanted = lists(*([number] for number in range(9)))
    best, worse = TASK_METRICS.as_scores(wanted), HEAD.predicted(torch.randn(9, 12)).numpy()
    assert TASK_METRICS.compute(wanted, best)["ndcg_at_10"].value == 1
    for name in RANKING_METRICS:
        lost = 1 - TASK_METRICS.compute(wanted, worse)[name].value
        assert TASK_METRICS.drop(wanted, best, worse, name).value == pytest.approx(100 * lost)


def ranking(scores: list[float], items: list[int], known: int = 1) -> np.ndarray:
    return Rankings(np.array([scores]), np.array([items]), np.array([known])).array()


def test_difference_is_that_of_an_items_scores_when_neighbours_change_places():
    one, other = ranking([3, 2.0, 1.9], [5, 7, 1]), ranking([3, 2.05, 1.95], [5, 1, 7])
    assert TASK_METRICS.difference(one, one) == 0
    assert TASK_METRICS.difference(one, other) == pytest.approx(0.15)
    assert TASK_METRICS.agrees(one, other).all()


def test_difference_is_the_excess_over_the_end_when_only_one_ranking_holds_an_item():
    one, other = ranking([3, 2.0, 1.9], [5, 7, 1]), ranking([3, 2.0, 1.8], [5, 7, 4])
    assert TASK_METRICS.difference(one, other) == pytest.approx(0.1)
    assert TASK_METRICS.difference(other, one) == pytest.approx(0.1)
    assert not TASK_METRICS.agrees(one, other).any()  # two of three


def test_difference_is_infinite_when_lengths_or_known_items_differ():
    one = ranking([3, 2.0, 1.9], [5, 7, 1])
    assert TASK_METRICS.difference(one, ranking([3, 2.0, 0], [5, 7, -1])) == np.inf
    assert TASK_METRICS.difference(one, ranking([3, 2.0, 1.9], [5, 7, 1], known=2)) == np.inf
