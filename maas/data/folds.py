"""Cross-validation: every row is held out once."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from maas.data.contents import Places, digests_of, ranks_of
from maas.data.rows import Rows
from maas.data.splits import Split, Splits
from maas.errors import ConfigError


def folded(splits: Splits, count: int) -> Iterator[Splits]:
    """Yields `count` ways of holding out rows; the held-out parts cover all rows of all splits, each once.

    A row's fold follows from its content, stratified by label; rows of equal content and unequal targets fall together.
    Where rows are equal, target and all, they are observations of their own (`repeats=keep`), and so are all. The rows
    that are not held out keep the proportion of training and validation rows.

    Args:
        splits: clean rows; how they were split does not matter.
        count: folds, 2 or more and at most as many as the rarest label has rows.

    Raises:
        ConfigError: rows have no targets, or there are too many folds.
    """
    require_foldable(splits, count)
    everything, units = _together(splits), _units(splits)
    validation_fraction = len(splits.validation) / (len(splits.train) + len(splits.validation))
    strata = [order := np.argsort(units, kind="stable")]
    if splits.target == "label":
        targets = np.asarray(everything.targets)[order]
        strata = [order[targets == position] for position in range(len(splits.labels))]
    for fold in range(count):
        parts = zip(*(_parted(rows, units, (fold, count), validation_fraction) for rows in strata), strict=True)
        train, validation, held = (everything.picked(np.concatenate(part)) for part in parts)
        yield Splits(train, validation, held, splits.labels, splits.record)


def require_foldable(splits: Splits, count: int) -> None:
    """Raises ConfigError where rows cannot be held out in so many folds; to be called before anything is trained.

    Args:
        splits: clean rows.
        count: folds; 0 for none, which is always possible.
    """
    if not count:
        return
    parts = (splits.train, splits.validation, splits.test)
    if any(part.targets is None for part in parts):
        raise ConfigError(
            f"folds is {count}, and the rows carry no targets to evaluate held-out rows with. Set folds=0, or "
            "data.target."
        )
    if splits.target == "items":
        raise ConfigError(f"folds is {count}, and the rows are histories, which are split by time. Set folds=0.")
    rows = sum(map(len, parts))
    if splits.target == "label":
        targets = np.concatenate([np.asarray(part.targets, dtype=np.int64) for part in parts])
        counts = np.bincount(targets, minlength=len(splits.labels)).tolist()
    else:
        counts = [len(np.unique(_units(splits)))]
    fewest = min(counts)
    if fewest < count:
        rarest = splits.labels[counts.index(fewest)] if splits.target == "label" else ""
        whose = f"the rarest label, {rarest}," if rarest else "the data"
        different = "" if splits.target == "label" or fewest == rows else "different "
        remedy = f"set at most folds={fewest}" if fewest > 1 else "add rows, or set folds=0"
        raise ConfigError(f"folds is {count}; {whose} has {fewest} {different}rows, so {remedy}.")


def _together(splits: Splits) -> Split:
    """Returns the rows of all splits."""
    parts = (splits.train, splits.validation, splits.test)
    columns = [part.inputs for part in parts]
    inputs = Rows(columns, np.arange(sum(map(len, columns))))
    return Split(inputs, np.concatenate([np.asarray(part.targets) for part in parts]))


def _units(splits: Splits) -> Places:
    """Returns a number for each row, by digest; rows that share it fall together."""
    everything = _together(splits)
    ranks = ranks_of(digests_of(everything.inputs, len(everything)))
    targets = map(repr, np.asarray(everything.targets).tolist())
    if len(set(zip(ranks.tolist(), targets, strict=True))) == len(ranks):
        return ranks
    own = np.empty_like(ranks)
    own[np.argsort(ranks, kind="stable")] = np.arange(len(ranks))
    return own


def _parted(
    rows: Places, units: Places, turn: tuple[int, int], validation_fraction: float
) -> tuple[Places, Places, Places]:
    """Returns the rows of a stratum for training, for validation, and those that are held out.

    Args:
        rows: numbers of the rows, by digest.
        units: of all rows, those that fall together alike.
        turn: number of the fold, and how many there are.
        validation_fraction: of the rows that are not held out.
    """
    fold, count = turn
    is_held: NDArray[np.bool_] = np.unique(units[rows], return_inverse=True)[1] % count == fold
    rest = rows[~is_held]
    cut = round(len(rest) * validation_fraction)
    while 0 < cut < len(rest) and units[rest[cut]] == units[rest[cut - 1]]:
        cut += 1
    return rest[cut:], rest[:cut], rows[is_held]
