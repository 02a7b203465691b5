"""Cross-validation: every row is held out once."""

from collections.abc import Iterator

import numpy as np

from maas.data.contents import digests_of
from maas.data.rows import Rows
from maas.data.splits import Split, Splits
from maas.errors import ConfigError


def folded(splits: Splits, count: int) -> Iterator[Splits]:
    """Yields `count` ways of holding out rows; the held-out parts cover all rows of all splits, each once.

    A row's fold follows from its content, stratified by label. The rows that are not held out keep the proportion of
    training and validation rows.

    Args:
        splits: clean rows; how they were split does not matter.
        count: folds, 2 or more and at most as many as the rarest label has rows.

    Raises:
        ConfigError: rows have no targets, or there are too many folds.
    """
    require_foldable(splits, count)
    parts = (splits.train, splits.validation, splits.test)
    columns = [part.inputs for part in parts]
    inputs = Rows(columns, np.arange(sum(map(len, columns))))
    targets = np.concatenate([np.asarray(part.targets) for part in parts])
    everything, validation_fraction = (
        Split(inputs, targets),
        len(splits.validation) / (len(splits.train) + len(splits.validation)),
    )
    order = np.argsort(digests_of(inputs, len(inputs)), kind="stable").tolist()
    labels = range(len(splits.labels)) if splits.target == "label" else ()
    strata = [[index for index in order if targets[index] == position] for position in labels]
    for fold in range(count):
        held = [index for stratum in strata or [order] for index in stratum[fold::count]]
        rest = [_without(stratum, fold, count) for stratum in strata or [order]]
        cuts = [round(len(stratum) * validation_fraction) for stratum in rest]
        validation = [index for stratum, cut in zip(rest, cuts, strict=True) for index in stratum[:cut]]
        train = [index for stratum, cut in zip(rest, cuts, strict=True) for index in stratum[cut:]]
        picked = (everything.picked(train), everything.picked(validation), everything.picked(held))
        yield Splits(*picked, splits.labels, splits.record)


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
    counts = [sum(map(len, parts))]
    if splits.target == "label":
        targets = np.concatenate([np.asarray(part.targets, dtype=np.int64) for part in parts])
        counts = np.bincount(targets, minlength=len(splits.labels)).tolist()
    fewest = min(counts)
    if fewest < count:
        rarest = splits.labels[counts.index(fewest)] if splits.target == "label" else ""
        whose = f"the rarest label, {rarest}," if rarest else "the data"
        remedy = f"set at most folds={fewest}" if fewest > 1 else "add rows, or set folds=0"
        raise ConfigError(f"folds is {count}; {whose} has {fewest} rows, so {remedy}.")


def _without(stratum: list[int], fold: int, count: int) -> list[int]:
    return [index for place, index in enumerate(stratum) if place % count != fold]
