"""Rows to look at: where the model is wrong, where it is right, and which parts of them spoke for it."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import partial

import numpy as np
from msgspec.json import encode

from maas.errors import MaasError
from maas.explaining import Explanation, explain
from maas.explaining.parts import parts_of
from maas.reporting.figures import shown_number
from maas.reporting.predicting import PredictedRows, text_of
from maas.reporting.shown_rows import ROW_FAULTS, ShownInput, shown_row
from maas.runtime.bundle import Bundle
from maas.runtime.bundle_files import GOLDEN, read_record
from maas.runtime.generation.golden import GoldenText
from maas.runtime.generation.opening import TEXTS
from maas.serving.examples import shortened

EXPLAINING_S = 40.0
"""Seconds that explanations of all examples together may take."""
SHAPLEY_S = 0.004
"""Seconds of a row below which parts are left out in several orders; above, each part is left out alone."""
ORDERS = 6
UNEXPLAINED: tuple[type[Exception], ...] = (MaasError, *ROW_FAULTS)
"""What explaining raises of a row that it was not made for."""
NEIGHBOURS = 5
SAMPLE_TOKENS = 40
LONGEST_PREDICTION = 300
"""Characters of a prediction of another kind, as JSON."""


@dataclass(frozen=True)
class Example:
    """A row with what the model says of it.

    Args:
        inputs: the row.
        predicted: what it predicts: a label, a number, a text.
        score: probability of a label; None for none.
        expected: what is true; None where that is not known.
        is_right: whether both are the same; None where that is not known, or predictions are numbers.
        quantity: number that the explanation is of; empty where there is none.
    """

    inputs: tuple[ShownInput, ...]
    predicted: str
    score: float | None = None
    expected: str | None = None
    is_right: bool | None = None
    quantity: str = ""


@dataclass(frozen=True)
class ChosenExamples:
    """Examples by what they show.

    Args:
        wrong: where the model is wrong, or its largest errors.
        right: where it is right, or its smallest errors.
        others: rows of which the truth is not known.
    """

    wrong: tuple[Example, ...] = ()
    right: tuple[Example, ...] = ()
    others: tuple[Example, ...] = ()

    @property
    def is_explained(self) -> bool:
        """Whether any of them is."""
        return any(one.quantity for one in (*self.wrong, *self.right, *self.others))


NO_EXAMPLES = ChosenExamples()


@dataclass(frozen=True)
class NearRows:
    """Two rows whose vectors are near each other.

    Args:
        one: a row.
        other: another.
        cosine: of their vectors.
    """

    one: tuple[ShownInput, ...]
    other: tuple[ShownInput, ...]
    cosine: float


def chosen_examples(
    bundle: Bundle, rows: PredictedRows, count: int, *, explains: bool = True, limit_s: float = EXPLAINING_S
) -> ChosenExamples:
    """Chooses examples and explains them.

    Args:
        bundle: a model that predicts.
        rows: predicted rows, with targets or without.
        count: number of rows that are wrong, and of rows that are right.
        explains: whether parts of the rows are left out, to see what they add.
        limit_s: seconds after which no more are explained.
    """
    make = _maker(bundle, rows, limit_s if explains else 0.0)
    if rows.is_right is None and rows.errors is None:
        return ChosenExamples(others=tuple(map(make, _spread(len(rows.inputs), count))))
    wrong, right = _places(rows)
    return ChosenExamples(tuple(map(make, wrong[:count])), tuple(map(make, _several(rows, right, count))))


def neighbours(bundle: Bundle, rows: PredictedRows) -> list[NearRows]:
    """Returns pairs of rows whose vectors are nearest, with their cosine, the nearest pair first.

    Args:
        bundle: a model that gives vectors.
        rows: predicted rows, of which no two are alike.
    """
    vectors = rows.scores / np.maximum(np.linalg.norm(rows.scores, axis=1, keepdims=True), 1e-12)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    show = partial(_shown_at, bundle, rows)
    found, taken = list[NearRows](), set[int]()
    for place in np.argsort(-cosines, axis=None, kind="stable"):
        one, other = int(place // len(cosines)), int(place % len(cosines))
        if not {one, other} & taken:
            taken |= {one, other}
            found.append(NearRows(show(one), show(other), float(cosines[one, other])))
        if len(found) == NEIGHBOURS or len(taken) >= len(cosines) - 1:
            break
    return found


def _shown_at(bundle: Bundle, rows: PredictedRows, place: int) -> tuple[ShownInput, ...]:
    return shown_row(rows.inputs[place], bundle.predictor.processor)


def _places(rows: PredictedRows) -> tuple[list[int], list[int]]:
    """Returns the rows that are wrong, the worst first, and those that are right, the best first."""
    if (errors := rows.errors) is not None:
        order = np.argsort(-np.abs(errors), kind="stable").tolist()
        return order, order[::-1]
    is_right = rows.is_right
    if is_right is None:
        return [], []
    if rows.labels:
        worth = rows.scores.max(axis=1)
    else:
        worth = np.array([_unlikeness(rows, place) for place in range(len(rows.inputs))])
    order = np.argsort(-worth, kind="stable")
    return order[~is_right[order]].tolist(), order[is_right[order]].tolist()


def _unlikeness(rows: PredictedRows, place: int) -> float:
    wanted = str(rows.targets[place]) if rows.targets is not None else ""
    return 1 - SequenceMatcher(None, text_of(rows.predictions[place]), wanted).ratio()


def _several(rows: PredictedRows, places: Sequence[int], count: int) -> list[int]:
    """Returns places of which each label has some, the first of each."""
    if not rows.labels:
        return list(places[:count])
    by_label: dict[int, list[int]] = {}
    for place in places:
        by_label.setdefault(int(rows.scores[place].argmax()), []).append(place)
    turns = max(map(len, by_label.values()), default=0)
    taken = [group[turn] for turn in range(min(turns, count)) for group in by_label.values() if turn < len(group)]
    return taken[:count]


def _spread(total: int, count: int) -> list[int]:
    found: list[int] = np.unique(np.linspace(0, total - 1, min(count, total)).astype(int)).tolist()
    return found


def _maker(bundle: Bundle, rows: PredictedRows, limit_s: float) -> Callable[[int], Example]:
    """Returns what makes an example of a row, and explains it as long as there is time."""
    deadline, processor = time.monotonic() + limit_s, bundle.predictor.processor
    durations: list[float] = []

    def make(place: int) -> Example:
        row = rows.inputs[place]
        explanation = None
        room_s = deadline - time.monotonic()
        if room_s > max(durations, default=0.0):
            explanation = _explained(bundle, row, room_s)
            durations.append(room_s - (deadline - time.monotonic()))
        is_right = rows.is_right
        return Example(
            shown_row(row, processor, explanation),
            *_said(rows, place),
            expected=_expected(rows, place),
            is_right=None if is_right is None else bool(is_right[place]),
            quantity=explanation.quantity if explanation else "",
        )

    return make


def _explained(bundle: Bundle, row: object, room_s: float) -> Explanation | None:
    """Returns an explanation of a row; None where it cannot be explained, or would take longer than `room_s`."""
    started = time.perf_counter()
    try:
        parts = len(parts_of(row, bundle.predictor.processor, None, None).parts)
        bundle.predictor.outputs([row])
        run_s = time.perf_counter() - started
        if run_s * parts > room_s:
            return None
        is_fast = run_s < SHAPLEY_S
        found = explain(bundle, row, orders=ORDERS, method="shapley" if is_fast else "occlusion")
        found.record()
    except UNEXPLAINED:
        return None
    return found


def _said(rows: PredictedRows, place: int) -> tuple[str, float | None]:
    """Returns what is predicted for a row, and its probability."""
    prediction = rows.predictions[place]
    if "label" in prediction:
        return str(prediction["label"]), float(prediction["score"])
    if "value" in prediction:
        return shown_number(float(prediction["value"])), None
    return text_of(prediction) or shortened(encode(prediction).decode(), LONGEST_PREDICTION), None


def _expected(rows: PredictedRows, place: int) -> str | None:
    if rows.targets is None or rows.targets.ndim != 1:
        return None
    target = rows.targets[place]
    if rows.targets.dtype.kind == "O":
        return str(target)
    return rows.labels[int(target)] if rows.labels else shown_number(float(target))


def sample_texts(bundle: Bundle, count: int) -> Iterator[tuple[str, str]]:
    """Yields prompts of the golden texts of a model that generates, and how it continues each.

    A model that answers in conversations is shown as it was when the bundle was made; its prompts hold a template.

    Args:
        bundle: a model that generates.
        count: most prompts.
    """
    generator = bundle.generator
    golden = read_record(bundle.folder / GOLDEN / TEXTS, list[GoldenText])[:count]
    for one in golden:
        prompt = generator.tokenizer.decode(one.prompt)
        if generator.has_chat_template:
            yield prompt, generator.tokenizer.decode(one.tokens)
        else:
            room = generator.context_length - len(one.prompt)
            yield prompt, bundle.generate(prompt, max_tokens=max(1, min(SAMPLE_TOKENS, room))).text
