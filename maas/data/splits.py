"""Cleaning, and splits that do not leak: a row's content decides where it goes."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maas.bounds import PositiveFraction
from maas.data.sources import Tables
from maas.errors import ConfigError, DataError
from maas.runtime.evidence import DataRecord


@dataclass(frozen=True)
class Split:
    """Rows of one split.

    Args:
        inputs: N raw inputs.
        targets: int64 (N,), positions in `Splits.labels`.
    """

    inputs: Sequence[Any]
    targets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True)
class Splits:
    """Clean rows, split; `test` is read once, at the end."""

    train: Split
    validation: Split
    test: Split
    labels: tuple[str, ...]
    record: DataRecord


class Row(NamedTuple):
    """A raw input, its label and the digest of its content."""

    input: Any
    label: str
    content: str


def prepare(
    source: Tables, validation_fraction: PositiveFraction = 0.1, test_fraction: PositiveFraction = 0.1
) -> Splits:
    """Cleans a source and splits it.

    Rows that are empty or lack a label are left out; so are all rows of a content that carries two labels, and every
    repeat of a row. Rows not split yet are split by the digest of their content, stratified by label: the same rows
    always fall the same way, whatever their order and whatever the seed. Splits that the source brings are kept, less
    the training rows that stand in a later split too.

    Args:
        source: tables by split name, from `maas.data.sources`.
        validation_fraction: share of each label for validation, where the source brings no validation split.
        test_fraction: share of each label for testing, where the source brings no test split.

    Raises:
        ConfigError: the two shares leave no training rows.
        DataError: a split would be empty, or there are fewer than two labels.
    """
    if validation_fraction + test_fraction >= 1:
        raise ConfigError(
            f"data.validation_fraction {validation_fraction} and data.test_fraction {test_fraction} leave nothing to "
            "train on; their sum must be below 1."
        )
    removed: Counter[str] = Counter()
    rows = {split: list(_rows(table, removed)) for split, table in source.items()}
    contradictory = _contradictory(row for part in rows.values() for row in part)
    seen: set[str] = set()
    clean: dict[str, list[Row]] = {}
    for split in ("test", "validation", "train", "all"):  # a row in two splits stays in the one that judges
        if split in rows:
            clean[split] = list(_distinct(rows[split], contradictory, seen, removed))
    train = clean.get("train", []) + clean.get("all", [])
    test, train = _cut(train, test_fraction) if "test" not in clean else (clean["test"], train)
    share = validation_fraction / (1 - test_fraction) if "test" not in clean else validation_fraction
    validation, train = _cut(train, share) if "validation" not in clean else (clean["validation"], train)
    parts = {"train": train, "validation": validation, "test": test}
    labels = _labels(parts)
    record = DataRecord(_fingerprint(parts), {name: len(part) for name, part in parts.items()}, dict(removed))
    return Splits(**{name: _split(part, labels) for name, part in parts.items()}, labels=labels, record=record)


def content_digest(value: Any) -> str:
    """SHA-256 of a raw input's content: text without surrounding blanks, numbers as JSON."""
    text = value.strip() if isinstance(value, str) else json.dumps(np.asarray(value, dtype=np.float64).tolist())
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _rows(table: Any, removed: Counter[str]) -> Iterable[Row]:
    for value, label in zip(table["input"][:], table["label"][:], strict=True):
        if value is None or label is None or (isinstance(value, str) and not value.strip()):
            removed["empty"] += 1
        else:
            yield Row(value.strip() if isinstance(value, str) else value, label, content_digest(value))


def _contradictory(rows: Iterable[Row]) -> set[str]:
    labels: dict[str, str] = {}
    return {row.content for row in rows if labels.setdefault(row.content, row.label) != row.label}


def _distinct(rows: list[Row], contradictory: set[str], seen: set[str], removed: Counter[str]) -> Iterable[Row]:
    for row in rows:
        if row.content in contradictory:
            removed["contradictory"] += 1
        elif row.content in seen:
            removed["repeated"] += 1
        else:
            seen.add(row.content)
            yield row


def _cut(rows: list[Row], fraction: float) -> tuple[list[Row], list[Row]]:
    """Returns the share of each label whose digests come first, and the rest."""
    by_label: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.content):
        by_label.setdefault(row.label, []).append(row)
    first, rest = [], []
    for label in sorted(by_label):
        count = round(len(by_label[label]) * fraction)
        first += by_label[label][:count]
        rest += by_label[label][count:]
    return first, rest


def _labels(parts: dict[str, list[Row]]) -> tuple[str, ...]:
    counts = {name: Counter(row.label for row in part) for name, part in parts.items()}
    labels = tuple(sorted(counts["train"]))
    if len(labels) < 2:
        raise DataError(f"The training split has {len(labels)} label(s); a classifier needs at least 2.")
    for name, count in counts.items():
        if not count:
            raise DataError(f"The {name} split is empty. Give more rows, or raise data.{name}_fraction.")
        unknown = sorted(set(count) - set(labels))
        if unknown:
            raise DataError(f"The {name} split has labels that the training split lacks: {', '.join(unknown)}.")
    return labels


def _split(rows: list[Row], labels: tuple[str, ...]) -> Split:
    positions = {label: index for index, label in enumerate(labels)}
    return Split([row.input for row in rows], np.array([positions[row.label] for row in rows], dtype=np.int64))


def _fingerprint(parts: dict[str, list[Row]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(parts):
        for row in sorted(parts[name], key=lambda row: row.content):
            digest.update(f"{name}\t{row.content}\t{row.label}\n".encode())
    return digest.hexdigest()
