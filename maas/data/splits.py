"""Cleaning, and splits that do not leak: a row's content decides where it goes."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from maas.bounds import Count, PositiveFraction
from maas.data.contents import Contents, Places, SplitTarget, Target, contents_of, with_repeats_apart
from maas.data.rows import ROWS_PER_BLOCK, Rows, as_rows
from maas.data.tables import Tables
from maas.errors import ConfigError, DataError
from maas.records.evidence import DataRecord


class RowSource(Protocol):
    """What reads rows: a part of a recipe, e.g. `maas.data.columns.FileTable`."""

    def read(self) -> Tables:
        """Returns tables by split name; `all` stands for rows not split yet."""


@dataclass(frozen=True)
class Split:
    """Rows of one split.

    Args:
        inputs: N raw inputs, which may lie on a disk until they are read.
        targets: int64 (N,), positions in `Splits.labels`; float32 (N, K) of 0 and 1 for sets of labels; float64 (N,)
            for numbers; objects (N,) for texts, and for lists of items, int64 (T,) each; None where rows have none.
    """

    inputs: Sequence[Any]
    targets: NDArray[Any] | None

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def fitting_rows(self) -> Sequence[Any]:
        """What a processor learns from: the inputs, and where both are texts the targets after them."""
        is_pairs = self.targets is not None and self.targets.dtype.kind == "O"
        if self.targets is None or not is_pairs or not isinstance(self.inputs[0], str):
            return self.inputs
        return Rows([self.inputs, list(self.targets)], np.arange(2 * len(self)))

    def picked(self, indices: Iterable[int]) -> "Split":
        """Returns the rows at these positions."""
        chosen = np.fromiter(indices, dtype=np.int64)
        return Split(as_rows(self.inputs).picked(chosen), None if self.targets is None else self.targets[chosen])

    def spread(self, count: int) -> "Split":
        """Returns at most `count` rows, evenly spaced."""
        return self.picked(np.linspace(0, len(self) - 1, min(count, len(self))).astype(int))


@dataclass(frozen=True)
class Splits:
    """Clean rows, split; `test` is read once, at the end.

    `labels` holds the characters of the training texts where targets are texts, the names of the items where they are
    lists of items, and nothing where they are numbers.
    """

    train: Split
    validation: Split
    test: Split
    labels: tuple[str, ...]
    record: DataRecord

    @property
    def target(self) -> SplitTarget:
        """What the rows carry beside their input."""
        if self.train.targets is None:
            return "none"
        if np.asarray(self.train.targets).dtype.kind == "O":
            return "items" if isinstance(self.train.targets[0], np.ndarray) else "text"
        if np.asarray(self.train.targets).ndim == 2:
            return "labels"
        return "label" if self.labels else "number"


def prepare(
    source: Tables | RowSource,
    validation_fraction: PositiveFraction = 0.1,
    test_fraction: PositiveFraction = 0.1,
    target: Target = "label",
    labels: Sequence[str] | None = None,
    max_rows: Count | None = None,
    min_label_rows: Count = 1,
    repeats: Literal["remove", "keep"] = "remove",
) -> Splits:
    """Cleans a source and splits it.

    Rows that are empty or lack a target are left out; so are all rows of a content that carries two labels, and every
    repeat of a row. Rows not split yet are split by the digest of their content, stratified by label: the same rows
    always fall the same way, whatever their order and whatever the seed, and rows of equal content fall together.
    Splits that the source brings are kept, less the training rows that stand in a later split too.

    Args:
        source: tables by split name, or what reads them, from one of the sources in `maas.data`.
        validation_fraction: fraction of each label for validation, where the source brings no validation split.
        test_fraction: fraction of each label for testing, where the source brings no test split.
        target: kind of values in the column `label`: `label`, one each; `labels`, a set each; numbers, texts, or none.
        labels: the K names, or characters of texts, in the order of the model's outputs; null sorts those of the
            training rows.
        max_rows: largest number of rows of each split, stratified by label like the splits; null keeps all.
        min_label_rows: smallest number of clean rows of a label; rows of labels with fewer are left out.
        repeats: `keep` takes equal rows for observations of their own, as they are where columns have few values. Then
            none is removed, nor are contradictory ones, and each falls into a split by itself.

    Raises:
        ConfigError: the two shares leave no training rows.
        DataError: a split would be empty, there are fewer than two labels, or a target is not a number.
    """
    if validation_fraction + test_fraction >= 1:
        raise ConfigError(
            f"data.validation_fraction {validation_fraction} and data.test_fraction {test_fraction} leave nothing to "
            "train on; their sum must be below 1."
        )
    removed: Counter[str] = Counter()
    table = contents_of(source if isinstance(source, Mapping) else source.read(), target, removed)
    table = with_repeats_apart(table) if repeats == "keep" else table
    clean = _common(table, _cleaned(table, removed), min_label_rows, removed)
    parts = _parted(table, clean, validation_fraction, test_fraction)
    if max_rows is not None:
        parts = {name: _cut(table, part, min(1.0, max_rows / max(1, len(part))))[0] for name, part in parts.items()}
    for name, part in parts.items():
        if not len(part):
            advice = "" if name == "train" else f", or raise data.{name}_fraction"
            raise DataError(f"The {name} split is empty. Give more rows{advice}.")
    is_of_labels = target in ("label", "labels")
    names = _labels(table, parts, labels) if is_of_labels else _characters(table, parts["train"], labels)
    counts = {name: count for name, count in removed.items() if count}
    record = DataRecord(_fingerprint(table, parts), {name: len(part) for name, part in parts.items()}, counts)
    made = {name: _split(table, part, target, names) for name, part in parts.items()}
    return Splits(**made, labels=names, record=record)


def _cleaned(table: Contents, removed: Counter[str]) -> dict[str, Places]:
    """Returns the numbers of the rows of each split that are kept."""
    contradictory = _contradictory(table)
    taken = np.zeros(len(contradictory), dtype=bool)
    clean: dict[str, Places] = {}
    for split in ("test", "validation", "train", "all"):  # a row in two splits stays in the one that evaluates
        if split in table.splits:
            rows = table.splits[split]
            agreeing = rows[~contradictory[table.ranks[rows]]]
            clean[split] = _distinct(table, agreeing[~taken[table.ranks[agreeing]]])
            taken[table.ranks[clean[split]]] = True
            removed["contradictory"] += len(rows) - len(agreeing)
            removed["repeated"] += len(agreeing) - len(clean[split])
    return clean


def _common(table: Contents, clean: dict[str, Places], least: int, removed: Counter[str]) -> dict[str, Places]:
    """Returns the rows whose label has at least `least` of them, over all splits; targets that are no labels stay."""
    if least == 1 or not table.names:
        return clean
    counts = np.bincount(table.targets[np.concatenate(list(clean.values()))], minlength=len(table.names))
    kept = {split: rows[counts[table.targets[rows]] >= least] for split, rows in clean.items()}
    removed["rare_label"] += sum(map(len, clean.values())) - sum(map(len, kept.values()))
    return kept


def _contradictory(table: Contents) -> NDArray[np.bool_]:
    """Returns for each rank whether its content carries two labels."""
    found = np.zeros(len(table.ranks), dtype=bool)
    if table.names:
        label = np.empty(len(table.ranks), dtype=np.int64)
        label[table.ranks] = table.targets  # of each content, any one's
        found[table.ranks[label[table.ranks] != table.targets]] = True
    return found


def _distinct(table: Contents, rows: Places) -> Places:
    """Returns the first row of each content and target, in their order."""
    ranks, targets = table.ranks[rows], table.targets[rows]
    order = np.lexsort((targets, ranks))
    is_first = np.ones(len(rows), dtype=bool)
    is_first[1:] = (np.diff(ranks[order]) != 0) | (np.diff(targets[order]) != 0)
    return rows[np.sort(order[is_first])]


def _parted(
    table: Contents, clean: dict[str, Places], validation_fraction: float, test_fraction: float
) -> dict[str, Places]:
    train = np.concatenate([clean[name] for name in ("train", "all") if name in clean])
    test, train = _cut(table, train, test_fraction) if "test" not in clean else (clean["test"], train)
    fraction = validation_fraction / (1 - test_fraction) if "test" not in clean else validation_fraction
    validation, train = _cut(table, train, fraction) if "validation" not in clean else (clean["validation"], train)
    return {"train": train, "validation": validation, "test": test}


def _cut(table: Contents, rows: Places, fraction: float) -> tuple[Places, Places]:
    """Returns the fraction of each label whose digests come first, and the rest; other targets are one stratum."""
    first, rest = [], []
    for stratum in _strata(table, rows):
        ranks, count = table.ranks[stratum], round(len(stratum) * fraction)
        while 0 < count < len(stratum) and ranks[count] == ranks[count - 1]:
            count += 1  # rows of equal content and unequal numbers stay together
        first.append(stratum[:count])
        rest.append(stratum[count:])
    return np.concatenate(first), np.concatenate(rest)


def _strata(table: Contents, rows: Places) -> list[Places]:
    """Returns the rows of each label, by their digests."""
    ordered = rows[np.argsort(table.ranks[rows], kind="stable")]
    if not table.names:
        return [ordered]
    ordered = ordered[np.argsort(table.targets[ordered], kind="stable")]
    return np.split(ordered, np.flatnonzero(np.diff(table.targets[ordered])) + 1)


def _characters(table: Contents, train: Places, given: Sequence[str] | None) -> tuple[str, ...]:
    """Returns the characters of the training texts; none where targets are not texts."""
    if not table.texts:
        return ()
    found = sorted(set("".join(table.texts[target] for target in np.unique(table.targets[train]))))
    if given is None:
        return tuple(found)
    if unknown := sorted(set(found) - set(given)):
        raise DataError(
            f"The training texts have characters that data.labels lacks: {', '.join(map(repr, unknown))}. Add them, or "
            "leave data.labels out."
        )
    return tuple(given)


def _labels(table: Contents, parts: dict[str, Places], given: Sequence[str] | None) -> tuple[str, ...]:
    found = {name: set(_names_in(table, part)) for name, part in parts.items()}
    labels = tuple(given) if given is not None else tuple(sorted(found["train"]))
    if len(labels) < 2:
        raise DataError(f"The training split has {len(labels)} label(s); a classifier needs at least 2.")
    whose = "the training split lacks" if given is None else f"data.labels lacks, which names {', '.join(labels)}"
    for name, names in found.items():
        unknown = sorted(names - set(labels))
        if unknown:
            raise DataError(f"The {name} split has labels that {whose}: {', '.join(unknown)}.")
    return labels


def _names_in(table: Contents, rows: Places) -> Iterator[str]:
    """Yields the labels of rows, or of their sets."""
    for target in np.unique(table.targets[rows]):
        yield from table.sets[target] if table.sets else (table.names[target],)


def _split(table: Contents, rows: Places, target: Target, labels: tuple[str, ...]) -> Split:
    inputs, targets = Rows(table.columns, table.places[rows]), table.targets[rows]
    if target == "none":
        return Split(inputs, None)
    if target == "number":
        return Split(inputs, targets.astype(np.float64))
    if target == "text":
        return Split(inputs, np.array(table.texts, dtype=object)[targets])
    positions = {label: index for index, label in enumerate(labels)}
    if target == "labels":
        members = np.zeros((len(table.sets), len(labels)), dtype=np.float32)
        for number, one in enumerate(table.sets):
            members[number, [positions[name] for name in one if name in positions]] = 1
        return Split(inputs, members[targets])
    return Split(inputs, np.array([positions.get(name, -1) for name in table.names])[targets])


def _fingerprint(table: Contents, parts: dict[str, Places]) -> str:
    digest, names = hashlib.sha256(), table.names or table.texts or tuple(map("\x1f".join, table.sets))
    for name in sorted(parts):
        rows = parts[name][np.lexsort((table.targets[parts[name]], table.ranks[parts[name]]))]
        for start in range(0, len(rows), ROWS_PER_BLOCK):
            block = rows[start : start + ROWS_PER_BLOCK]
            contents, targets = table.digests[block].tobytes().hex(), table.targets[block].tolist()
            for index, target in enumerate(targets):
                shown = names[target] if names else target if table.targets.dtype.kind == "f" else ""
                digest.update(f"{name}\t{contents[64 * index : 64 * index + 64]}\t{shown}\n".encode())
    return digest.hexdigest()
