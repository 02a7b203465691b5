"""Cleaning, and splits that do not leak: a row's content decides where it goes."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maas.bounds import Count, PositiveFraction
from maas.data.tables import Tables
from maas.errors import ConfigError, DataError
from maas.runtime.evidence import DataRecord

Target = Literal["label", "number", "none"]


@dataclass(frozen=True)
class Split:
    """Rows of one split.

    Args:
        inputs: N raw inputs.
        targets: int64 (N,), positions in `Splits.labels`; float32 (N,) for numbers; None where rows have no target.
    """

    inputs: Sequence[Any]
    targets: NDArray[Any] | None

    def __len__(self) -> int:
        return len(self.inputs)

    def picked(self, indices: Iterable[int]) -> "Split":
        """Returns the rows at these positions."""
        chosen = [int(index) for index in indices]
        targets = None if self.targets is None else self.targets[chosen]
        return Split([self.inputs[index] for index in chosen], targets)

    def spread(self, count: int) -> "Split":
        """Returns at most `count` rows, evenly spaced."""
        return self.picked(np.linspace(0, len(self) - 1, min(count, len(self))).astype(int))


@dataclass(frozen=True)
class Splits:
    """Clean rows, split; `test` is read once, at the end. `labels` is empty where targets are not labels."""

    train: Split
    validation: Split
    test: Split
    labels: tuple[str, ...]
    record: DataRecord

    @property
    def target(self) -> Target:
        """What the rows carry beside their input."""
        return "label" if self.labels else "none" if self.train.targets is None else "number"


class Row(NamedTuple):
    """A raw input, its target (a label, a number or an empty text) and the digest of its content."""

    input: Any
    target: Any
    content: str


def prepare(
    source: Tables,
    validation_fraction: PositiveFraction = 0.1,
    test_fraction: PositiveFraction = 0.1,
    target: Target = "label",
    labels: Sequence[str] | None = None,
    max_rows: Count | None = None,
) -> Splits:
    """Cleans a source and splits it.

    Rows that are empty or lack a target are left out; so are all rows of a content that carries two labels, and every
    repeat of a row. Rows not split yet are split by the digest of their content, stratified by label: the same rows
    always fall the same way, whatever their order and whatever the seed, and rows of equal content fall together.
    Splits that the source brings are kept, less the training rows that stand in a later split too.

    Args:
        source: tables by split name, from one of the sources in `maas.data`.
        validation_fraction: share of each label for validation, where the source brings no validation split.
        test_fraction: share of each label for testing, where the source brings no test split.
        target: what the column `label` holds: labels, numbers, or nothing that is looked at.
        labels: the K names in the order of the model's outputs; null sorts those of the training rows.
        max_rows: of each split, stratified by label like the splits; null keeps all. To try things out.

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
    rows = {split: list(_rows(table, target, removed)) for split, table in source.items()}
    parts = _parted(_cleaned(rows, target, removed), validation_fraction, test_fraction)
    if max_rows is not None:
        parts = {name: _cut(part, min(1.0, max_rows / max(1, len(part))))[0] for name, part in parts.items()}
    for name, part in parts.items():
        if not part:
            advice = "" if name == "train" else f", or raise data.{name}_fraction"
            raise DataError(f"The {name} split is empty. Give more rows{advice}.")
    names = _labels(parts, labels) if target == "label" else ()
    record = DataRecord(_fingerprint(parts), {name: len(part) for name, part in parts.items()}, dict(removed))
    return Splits(**{name: _split(part, target, names) for name, part in parts.items()}, labels=names, record=record)


def content_digest(value: Any) -> str:
    """SHA-256 of a raw input's content: text without surrounding blanks, a file's bytes, numbers and rows as JSON."""
    return hashlib.sha256(_content(value)).hexdigest()


def _content(value: Any) -> bytes:
    if isinstance(value, bytes | Path):
        return value if isinstance(value, bytes) else value.read_bytes()
    if isinstance(value, str):
        return value.strip().encode("utf-8", "surrogatepass")
    if isinstance(value, np.ndarray) and value.dtype == np.uint8:
        return f"{value.shape}".encode() + value.tobytes()
    return _as_json(value).encode()


def _as_json(value: Any) -> str:
    """Returns numbers as JSON, whatever their type, and rows of columns as they are."""
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True, default=str)
    try:
        return json.dumps(np.asarray(value, dtype=np.float64).tolist())
    except (TypeError, ValueError):  # a row of mixed columns
        return json.dumps(value, default=str)


def _rows(table: Any, target: Target, removed: Counter[str]) -> Iterable[Row]:
    inputs = table["input"][:]
    targets = table["label"][:] if target != "none" else [""] * len(inputs)
    for value, raw in zip(inputs, targets, strict=True):
        found = _number(raw) if target == "number" else raw
        if value is None or found is None or (isinstance(value, str) and not value.strip()):
            removed["empty"] += 1
        else:
            yield Row(value.strip() if isinstance(value, str) else value, found, content_digest(value))


def _number(raw: Any) -> float | None:
    """Returns a target as a number; None where it is missing."""
    if raw is None or raw == "":
        return None
    try:
        number = float(raw)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"The target {raw!r} is not a number, and data.target=number asks for numbers. Set data.target=label to "
            "learn labels, or name another column."
        ) from error
    if math.isinf(number):
        raise DataError(f"The target {raw!r} is infinite; leave such rows out of the data.")
    return None if math.isnan(number) else number


def _cleaned(rows: dict[str, list[Row]], target: Target, removed: Counter[str]) -> dict[str, list[Row]]:
    contradictory = _contradictory(row for part in rows.values() for row in part) if target == "label" else set()
    taken: set[str] = set()
    clean: dict[str, list[Row]] = {}
    for split in ("test", "validation", "train", "all"):  # a row in two splits stays in the one that judges
        if split in rows:
            clean[split] = list(_distinct(rows[split], contradictory, taken, removed))
            taken |= {row.content for row in clean[split]}
    return clean


def _contradictory(rows: Iterable[Row]) -> set[str]:
    labels: dict[str, str] = {}
    return {row.content for row in rows if labels.setdefault(row.content, row.target) != row.target}


def _distinct(rows: list[Row], contradictory: set[str], taken: set[str], removed: Counter[str]) -> Iterable[Row]:
    seen: set[tuple[str, Any]] = set()
    for row in rows:
        if row.content in contradictory:
            removed["contradictory"] += 1
        elif row.content in taken or (row.content, row.target) in seen:
            removed["repeated"] += 1
        else:
            seen.add((row.content, row.target))
            yield row


def _parted(clean: dict[str, list[Row]], validation_fraction: float, test_fraction: float) -> dict[str, list[Row]]:
    train = clean.get("train", []) + clean.get("all", [])
    test, train = _cut(train, test_fraction) if "test" not in clean else (clean["test"], train)
    share = validation_fraction / (1 - test_fraction) if "test" not in clean else validation_fraction
    validation, train = _cut(train, share) if "validation" not in clean else (clean["validation"], train)
    return {"train": train, "validation": validation, "test": test}


def _cut(rows: list[Row], fraction: float) -> tuple[list[Row], list[Row]]:
    """Returns the share of each label whose digests come first, and the rest; numbers are one stratum."""
    strata: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.content):
        strata.setdefault(row.target if isinstance(row.target, str) else "", []).append(row)
    first, rest = [], []
    for name in sorted(strata):
        stratum = strata[name]
        count = round(len(stratum) * fraction)
        while 0 < count < len(stratum) and stratum[count].content == stratum[count - 1].content:
            count += 1  # rows of equal content and unequal numbers stay together
        first += stratum[:count]
        rest += stratum[count:]
    return first, rest


def _labels(parts: dict[str, list[Row]], given: Sequence[str] | None) -> tuple[str, ...]:
    found = {name: {row.target for row in part} for name, part in parts.items()}
    labels = tuple(given) if given is not None else tuple(sorted(found["train"]))
    if len(labels) < 2:
        raise DataError(f"The training split has {len(labels)} label(s); a classifier needs at least 2.")
    whose = "the training split lacks" if given is None else f"data.labels lacks, which names {', '.join(labels)}"
    for name, names in found.items():
        unknown = sorted(names - set(labels))
        if unknown:
            raise DataError(f"The {name} split has labels that {whose}: {', '.join(unknown)}.")
    return labels


def _split(rows: list[Row], target: Target, labels: tuple[str, ...]) -> Split:
    inputs = [row.input for row in rows]
    if target == "none":
        return Split(inputs, None)
    if target == "number":
        return Split(inputs, np.array([row.target for row in rows], dtype=np.float32))
    positions = {label: index for index, label in enumerate(labels)}
    return Split(inputs, np.array([positions[row.target] for row in rows], dtype=np.int64))


def _fingerprint(parts: dict[str, list[Row]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(parts):
        for row in sorted(parts[name], key=lambda row: (row.content, row.target)):
            digest.update(f"{name}\t{row.content}\t{row.target}\n".encode())
    return digest.hexdigest()
