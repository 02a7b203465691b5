"""Popularity and neighbours against the same written out with dense matrices."""

import numpy as np
import pytest

from maas.data.interactions import InteractionTable, by_time
from maas.evidence.item_baselines import item_neighbours, popularity


@pytest.fixture(scope="module")
def splits(interactions, tmp_path_factory):
    folder = tmp_path_factory.mktemp("interactions")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAAS_CACHE", str(folder / "cache"))
        path = interactions.written(folder, interactions.tastes())
        return by_time(InteractionTable(str(path)), min_item_users=1)


def dense(split, labels) -> np.ndarray:
    found = np.zeros((len(split), len(labels)))
    for row, own in enumerate(split.inputs):
        items = own["items"] if isinstance(own, dict) else own
        found[row, [labels.index(name) for name in items]] = 1
    return found


def test_popular_items_come_first_without_ones_own_when_popularity_ranks(splits):
    counts = dense(splits.train, splits.labels).sum(axis=0)
    lists, histories = popularity()(splits), dense(splits.test, splits.labels)
    for ranked, own in zip(lists, histories, strict=True):
        assert not own[ranked].any()
        assert len(ranked) == len(splits.labels) - own.sum()
        assert (np.diff(counts[ranked]) <= 0).all()


def test_neighbours_are_those_of_the_cosine_when_it_is_written_out(splits):
    train, histories = dense(splits.train, splits.labels), dense(splits.test, splits.labels)
    lengths = np.linalg.norm(train, axis=0)
    cosines = train.T @ train / np.outer(lengths, lengths)
    np.fill_diagonal(cosines, 0)
    scores = histories @ cosines
    found = item_neighbours([71])(splits)
    for ranked, own, expected in zip(found["baseline"], histories, scores, strict=True):
        assert not own[ranked].any()
        assert (np.diff(expected[ranked]) <= 1e-5).all()
    np.testing.assert_array_equal(found["popularity"][0], popularity()(splits)[0])


def test_only_the_nearest_count_when_few_neighbours_are_kept(splits):
    histories = dense(splits.test, splits.labels)
    few, all_of_them = (item_neighbours([count])(splits)["baseline"] for count in (1, 71))
    assert any((one[:10] != other[:10]).any() for one, other in zip(few, all_of_them, strict=True))
    for ranked, own in zip(few, histories, strict=True):
        assert not own[ranked].any()
