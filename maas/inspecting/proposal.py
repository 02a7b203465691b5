"""What could learn from data: task, parts and settings of a recipe, each with its reason."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from maas.data.cells import MISSING
from maas.errors import DataError
from maas.inspecting.description import ColumnDescription, DataDescription
from maas.inspecting.models import (
    ModelChoice,
    boosting_choice,
    combined_choice,
    picture_choice,
    sound_choice,
    text_choice,
)
from maas.inspecting.target import TargetDescription, describe_target

FEW_ROWS = 2000
"""Below so many, more of them are held out: a tenth would show little."""
LEAST_REPEATED = 0.05
"""Fraction of rows that equal another in all columns, from which that is how such columns are, and no mistake."""


@dataclass(frozen=True)
class RecipeProposal:
    """A recipe for data, in parts.

    Args:
        name: name of the model.
        data: what was inspected.
        target: what is to be learnt.
        inputs: columns that a row keeps; none for folders.
        left_out: columns that it does not keep, with the reason.
        model: what learns, with its processor.
        metric: what is compared.
        source: settings of `data.source`.
        preparing: other settings of `data`.
        notes: what a user should know of the choice, a sentence each.
    """

    name: str
    data: DataDescription
    target: TargetDescription
    inputs: tuple[str, ...]
    left_out: Mapping[str, str]
    model: ModelChoice
    metric: str
    source: Mapping[str, object]
    preparing: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> dict[str, str | None]:
        """The parts of the recipe by section; None leaves a section out."""
        return {"data": self._source_part, **self.model.parts}

    @property
    def settings(self) -> dict[str, object]:
        """What the recipe sets, as YAML would hold it."""
        task = {"task": self.target.task} if self.target.task != "classification" else {}
        data = {"source": dict(self.source), **self.preparing}
        return {"name": self.name, **task, "metric": self.metric, "data": data, **self.model.settings}

    @property
    def _source_part(self) -> str:
        if self.data.files is not None:
            return f"{self.data.modality}_folder"
        if self.model.reads_one_text:
            return "hub" if self.data.hub else "files"
        return "hub_columns" if self.data.hub else "columns"


def propose(data: DataDescription, target: str | None = None, name: str | None = None) -> RecipeProposal:
    """Returns a recipe for data.

    Args:
        data: what was inspected.
        target: column to learn; None for a folder.
        name: name of the model; None takes the data's.

    Raises:
        DataError: there is no such column, nothing can be learnt of it, or nothing is left to learn it from.
    """
    wanted = describe_target(data, target)
    kept, left_out = _inputs(data, wanted)
    choice = _choice(data, wanted, kept)
    left_out |= {column.name: _unread(choice) for column in kept if column.name not in choice.inputs}
    repeats = 0.0 if choice.reads_text or not choice.inputs else repeated_fraction(data, choice.inputs)
    keeps_repeats = repeats >= LEAST_REPEATED
    metric = "r2" if wanted.task == "regression" else "balanced_accuracy" if wanted.is_unbalanced else "accuracy"
    return RecipeProposal(
        name or model_name(data.origin),
        data,
        wanted,
        choice.inputs,
        left_out,
        choice,
        metric,
        _source(data, wanted, choice, left_out),
        _preparing(data, wanted, choice, keeps_repeats=keeps_repeats),
        tuple(_notes(data, wanted, repeats if keeps_repeats else 0.0)),
    )


def model_name(origin: str) -> str:
    """Returns a name for a model of some data: the file's, with letters, digits, - and _ alone."""
    stem = Path(origin).name.partition(".")[0]
    return re.sub(r"[^\w-]+", "_", stem).strip("_") or "model"


def repeated_fraction(data: DataDescription, names: Sequence[str]) -> float:
    """Returns the fraction of rows that equal another one in some columns."""
    if data.table is None or not data.rows:
        return 0.0
    hashes = np.zeros(data.rows, dtype=np.uint64)
    for name in names:
        found = np.fromiter(map(hash, map(repr, data.table.column(name)[:])), dtype=np.int64, count=data.rows)
        hashes = (hashes ^ found.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        hashes ^= hashes >> np.uint64(29)
    _, counts = np.unique(hashes, return_counts=True)
    return float(counts[counts > 1].sum() / data.rows)


def _inputs(data: DataDescription, target: TargetDescription) -> tuple[list[ColumnDescription], dict[str, str]]:
    """Returns the columns that a row may keep, and the others with the reason."""
    kept, left_out = [], {}
    for column in data.columns:
        if column.name == target.name:
            continue
        if column.name in target.same:
            left_out[column.name] = f"it holds the same as {target.name}"
        elif column.kind in ("id", "constant", "empty", "other"):
            left_out[column.name] = column.reason or "it holds nothing"
        else:
            kept.append(column)
    if not kept and data.files is None:  # names or codes are all there is
        kept = [column for column in data.columns if column.kind == "id" and column.characters]
        kept = [column for column in kept if column.name != target.name]
        left_out = {name: why for name, why in left_out.items() if name not in {column.name for column in kept}}
    if not kept and data.files is None:
        shown = "; ".join(f"{name}: {why}" for name, why in left_out.items()) or "the target is its only column"
        raise DataError(f"{data.origin} has nothing to learn {target.name} from ({shown}). Add columns to it.")
    return kept, left_out


def _choice(data: DataDescription, target: TargetDescription, kept: Sequence[ColumnDescription]) -> ModelChoice:
    """Returns what learns from such inputs."""
    if data.files is not None:
        choose: Callable[..., ModelChoice] = picture_choice if data.modality == "image" else sound_choice
        return choose(data, target)
    texts = [column for column in kept if column.kind in ("text", "id")]
    columns = [column for column in kept if column.kind not in ("text", "id")]
    if not texts:
        return boosting_choice(data, target, columns)
    longest = max(texts, key=lambda column: column.characters)
    named = [column for column in texts if column.name.isidentifier()]
    if not columns:
        return text_choice(data, target, longest)
    if not named:
        return boosting_choice(data, target, columns)
    return combined_choice(data, target, max(named, key=lambda column: column.characters), columns)


def _unread(choice: ModelChoice) -> str:
    """Returns why a text is not read."""
    if choice.reads_text:
        return "a model reads one text, and another is longer"
    return "a text beside columns is read where its name has letters, digits and _ alone"


def _source(
    data: DataDescription, target: TargetDescription, choice: ModelChoice, left_out: Mapping[str, str]
) -> dict[str, object]:
    """Returns where rows come from and how they are read, as much of it as is not usual."""
    place = {"id" if data.hub else "path": data.origin}
    if data.files is not None:
        return dict(place)
    reading = data.reading
    has_words = bool(target.missing if choice.reads_one_text else reading.missing)  # a lone text may be any word
    if choice.reads_one_text:
        named: dict[str, object] = {"input": choice.inputs[0], "label": target.name}
    else:
        named = {"target": target.name} | ({"columns": list(choice.inputs)} if left_out else {})
    how: dict[str, object] = {
        "encoding": reading.encoding if reading.encoding not in (None, "utf-8", "utf-8-sig") else None,
        "separator": reading.separator if reading.separator != _usual_separator(data.origin) else None,
        "decimal": reading.decimal if reading.decimal != "." else None,
        "sheet": reading.sheet,
        "missing": [*MISSING, *reading.missing] if has_words else None,
    }
    return {**place, **named, **{name: value for name, value in how.items() if value is not None}}


def _usual_separator(origin: str) -> str | None:
    return "\t" if ".tsv" in Path(origin).suffixes else "," if ".csv" in Path(origin).suffixes else None


def _preparing(
    data: DataDescription, target: TargetDescription, choice: ModelChoice, *, keeps_repeats: bool
) -> dict[str, object]:
    kind: dict[str, object] = {}
    if data.files is None:
        is_number = target.task == "regression"
        usual = "label" if choice.reads_one_text else "number"
        wanted = "number" if is_number else "label"
        kind = {"target": wanted} if wanted != usual else {}
    repeats = {"repeats": "keep"} if keeps_repeats else {}
    fractions = {"validation_fraction": 0.15, "test_fraction": 0.2} if data.rows < FEW_ROWS else {}
    return {**kind, **repeats, **fractions}


def _notes(data: DataDescription, target: TargetDescription, repeats: float) -> Sequence[str]:
    notes = []
    if target.missing:
        notes.append(f"{target.missing:,} rows without {target.name} are left out")
    if target.is_unbalanced:
        first = next(iter(target.labels))
        notes.append(
            f"{target.majority:.1%} of the rows are {first}: classes are weighed, and balanced accuracy counts, as "
            f"always predicting {first} would have that accuracy"
        )
    if repeats:
        notes.append(
            f"{repeats:.1%} of the rows equal another one in all columns: such columns have few values, so each row "
            "counts as an observation of its own (data.repeats)"
        )
    notes += [
        f"{name} gives {target.name} away nearly always: is it known before {target.name} is? If not, leave it out"
        for name in target.suspects
    ]
    if data.files is not None and data.files.unreadable:
        first = data.files.unreadable[0]
        notes.append(f"{len(data.files.unreadable)} files cannot be read, e.g. {first}; remove them")
    return notes
