"""Threshold tables, written in YAML."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from operator import eq, ge, gt, le, lt, ne
from pathlib import Path
from typing import Any, ClassVar, Self

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray

from maas.data.splits import Splits
from maas.errors import ConfigError
from maas.files import read_json
from maas.importing.base import ImportedModel
from maas.onnx_graphs.building import GraphBuilder, declared, model_of_nodes
from maas.onnx_graphs.files import write_checked
from maas.onnx_graphs.reading import Axes
from maas.records.older import rules_today
from maas.runtime.codec import ModelInputs
from maas.runtime.processors import Processor

RECORD = "source.json"
MODEL_INPUTS = ("numbers", "features")
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {">=": ge, "<=": le, "==": eq, "!=": ne, ">": gt, "<": lt}
COMPARISON_OPERATORS = {
    ">=": "GreaterOrEqual",
    "<=": "LessOrEqual",
    "==": "Equal",
    "!=": "Equal",
    ">": "Greater",
    "<": "Less",
}
_NUMBER = r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"
CONDITION = re.compile(rf"(?P<column>[^<>=!]+?)\s*(?P<sign>>=|<=|==|!=|>|<)\s*(?P<threshold>{_NUMBER})")


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One comparison of a column with a threshold.

    Args:
        column: position in a row.
        sign: one of `COMPARISONS`.
        threshold: a number; compared in the type of the model input, so that a row's 0.1 equals a rule's 0.1.
    """

    column: int
    sign: str
    threshold: float

    def holds(self, row: Sequence[float]) -> bool:
        """Returns whether a row of numbers meets it; NaN meets none."""
        return not math.isnan(row[self.column]) and COMPARISONS[self.sign](row[self.column], self.threshold)


class RuleTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rules in terms of positions.

    Args:
        model_input: name of the model input that holds a row.
        labels: K.
        lines: position of a label, and the conditions that must all hold for it.
        default: position of the label of a row that no line meets.
    """

    model_input: str
    labels: int
    lines: tuple[tuple[int, tuple[Condition, ...]], ...]
    default: int

    def rounded(self, kind: type[np.floating[Any]]) -> "RuleTable":
        """Returns rules whose thresholds are numbers of a type."""
        lines = tuple(
            (label, tuple(msgspec.structs.replace(one, threshold=float(kind(one.threshold))) for one in conditions))
            for label, conditions in self.lines
        )
        return msgspec.structs.replace(self, lines=lines)

    def position(self, row: Sequence[float]) -> int:
        """Returns the label of the first line that a row meets."""
        met = (label for label, conditions in self.lines if all(one.holds(row) for one in conditions))
        return next(met, self.default)


class Rule(ImportedModel):
    """Labels a row by the first rule whose conditions all hold, evaluated in plain Python.

    A condition is `COLUMN SIGN NUMBER` with one of >=, <=, ==, !=, > and <. The column is a name of the tabular
    processor's numbers, or a position from 0. Thresholds are rounded to the type of a row's numbers, float64 or
    float32: a row's 0.1 equals a rule's 0.1. A missing number (NaN) meets no condition, not even `!=`.

    Args:
        rules: mappings with a `label` and `when`, the list of conditions; the first that matches wins.
        default: the label of rows that no rule matches.
        table: the rules by positions; `fit` finds it out.

    Raises:
        ConfigError: there is no rule, or one cannot be read.

    Example:
        >>> Rule([{"label": "ripe", "when": ["0 > 7.5", "1 >= 0.5"]}], default="unripe").conditions[0]
        [('0', '>', 7.5), ('1', '>=', 0.5)]
    """

    framework: ClassVar[str] = "rules"
    computes_in_double: ClassVar[bool] = True

    def __init__(
        self, rules: Sequence[Mapping[str, Any]] = (), default: str = "", *, table: RuleTable | None = None
    ) -> None:
        if not rules and table is None:
            raise ConfigError("model.rules is empty. Write e.g. model.rules=[{label: ripe, when: ['0 > 7.5']}].")
        for index, rule in enumerate(rules):
            if set(rule) != {"label", "when"} or not isinstance(rule["when"], list | tuple) or not rule["when"]:
                raise ConfigError(
                    f"model.rules[{index}] is {dict(rule)}; it must have a label, and when: a list of conditions."
                )
        self.labels = [str(rule["label"]) for rule in rules]
        self.conditions = [
            [_read(text, f"model.rules[{index}]") for text in rule["when"]] for index, rule in enumerate(rules)
        ]
        self.default = str(default)
        self.rules = rules
        self.table = table

    def fit(self, splits: Splits, processor: Processor) -> Self:
        """Returns rules that know the positions of columns and labels; nothing is learnt."""
        model_input = next((name for name in MODEL_INPUTS if name in processor.dynamic_axes), None)
        if model_input is None:
            raise ConfigError(
                f"Rules read {' or '.join(MODEL_INPUTS)}; the {processor.kind} processor gives "
                f"{', '.join(processor.dynamic_axes)}. Choose processor=tabular or processor=array."
            )
        (row,) = processor.batch(processor.preprocess(splits.train.inputs[:1]))[model_input]
        names = [str(name) for name in processor.settings().get(model_input, range(row.size))]
        lines = tuple(
            (_position(label, splits), tuple(Condition(_column(name, names), sign, value) for name, sign, value in one))
            for label, one in zip(self.labels, self.conditions, strict=True)
        )
        table = RuleTable(model_input, len(splits.labels), lines, _position(self.default, splits))
        return type(self)(self.rules, self.default, table=table)

    def outputs(self, model_inputs: ModelInputs) -> NDArray[np.float32]:
        """Returns 1 for the label and 0 for the others, (N, K)."""
        model_input = model_inputs[self._known.model_input]
        table, rows = (
            self._known.rounded(_type_of(model_input)),
            model_input.reshape(len(model_input), -1).astype(_type_of(model_input)).tolist(),
        )
        return np.eye(table.labels, dtype=np.float32)[[table.position(row) for row in rows]]

    def thresholds(self, model_inputs: ModelInputs) -> Mapping[str, Mapping[int, Sequence[float]]]:
        """Returns the thresholds of the conditions."""
        found: dict[int, list[float]] = {}
        for _, conditions in self._known.lines:
            for one in conditions:
                found.setdefault(one.column, []).append(one.threshold)
        return {self._known.model_input: found}

    def write_onnx(self, out: Path, *, examples: ModelInputs, axes: Axes, output: str, opset: int) -> None:
        """Writes a Where for each rule, the last rule first."""
        builder = GraphBuilder("rules")
        add_rules(self._known, builder, output, _type_of(examples[self._known.model_input]))
        model = declared(model_of_nodes(builder, opset=opset), examples, axes, output, (self._known.labels,))
        write_checked(model, out, examples, axes)

    def save(self, folder: Path) -> None:
        """Writes the rules by positions."""
        (folder / RECORD).write_bytes(msgspec.json.encode(self._known))

    @classmethod
    def load(cls, arguments: Mapping[str, Any], folder: Path) -> Self:
        """Opens what `save` wrote."""
        return cls(table=read_json(folder / RECORD, RuleTable, rules_today))

    @property
    def _known(self) -> RuleTable:
        if self.table is None:
            raise ConfigError("The rules have not met the data yet. Call fit first.")
        return self.table


def _type_of(model_input: NDArray[Any]) -> type[np.floating[Any]]:
    """Returns the type that numbers and thresholds are compared in."""
    return np.float64 if model_input.dtype == np.float64 else np.float32


def add_rules(table: RuleTable, builder: GraphBuilder, output: str, kind: type[np.floating[Any]] = np.float32) -> str:
    """Adds nodes that label rows as `Table.position` does, as float32 (N, K) of ones and zeros.

    Args:
        table: the rules.
        builder: builder that takes the nodes.
        output: the name of the graph's output.
        kind: the type that numbers and thresholds are compared in.
    """
    element = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    rows = builder.add("Flatten", builder.add("Cast", table.model_input, to=element), axis=1)
    chosen = builder.constant(table.default, np.int64)
    for label, conditions in reversed(table.lines):
        holds = [_drawn_condition(one, rows, builder, kind) for one in conditions]
        met = holds[0]
        for other in holds[1:]:
            met = builder.add("And", met, other)
        chosen = builder.add("Where", met, builder.constant(label, np.int64), chosen)  # (N,)
    ends = builder.constant([0, 1], np.float32)
    return builder.add("OneHot", chosen, builder.constant(table.labels, np.int64), ends, result=output, axis=-1)


def _drawn_condition(condition: Condition, rows: str, builder: GraphBuilder, kind: type[np.floating[Any]]) -> str:
    column = builder.add("Gather", rows, builder.constant(condition.column, np.int64), axis=1)  # (N,)
    held = builder.add(COMPARISON_OPERATORS[condition.sign], column, builder.constant(condition.threshold, kind))
    if condition.sign != "!=":
        return held
    unequal, is_missing = builder.add("Not", held), builder.add("IsNaN", column)
    return builder.add("And", unequal, builder.add("Not", is_missing))


def _read(text: object, where: str) -> tuple[str, str, float]:
    found = CONDITION.fullmatch(str(text).strip())
    with np.errstate(over="ignore"):  # what becomes infinite is refused below
        threshold = float(found["threshold"]) if found else math.inf
        is_huge = math.isinf(np.float32(threshold))
    if found is None or is_huge:
        raise ConfigError(
            f"{where}.when has {text!r}; a condition is COLUMN SIGN NUMBER with one of {' '.join(COMPARISONS)}, "
            "e.g. 'proline > 755'."
        )
    return found["column"], found["sign"], threshold


def _column(name: str, names: Sequence[str]) -> int:
    if name in names:
        return names.index(name)
    if name.isdecimal() and int(name) < len(names):
        return int(name)
    raise ConfigError(
        f"A rule reads the column {name}; the processor gives {', '.join(names)}. Name one of them in model.rules."
    )


def _position(label: str, splits: Splits) -> int:
    if label not in splits.labels:
        raise ConfigError(
            f"A rule gives the label {label!r}; the data has {', '.join(splits.labels) or 'none'}. Set model.rules and "
            "model.default."
        )
    return splits.labels.index(label)
