"""An explanation as JSON: numbers, names and places, for callers that show it themselves."""

from typing import Any

from maas.errors import InputError
from maas.explaining.explanation import Explanation
from maas.explaining.parts.base import InputParts


def explanation_record(explanation: Explanation) -> dict[str, Any]:
    """Returns an explanation, its parts by input, ready for JSON.

    Raises:
        InputError: one of its numbers is not finite, as the model needs what was left out.
    """
    numbers = (explanation.value, explanation.baseline, *explanation.attributions.tolist())
    if not all(abs(number) < float("inf") for number in numbers):
        raise InputError(
            "The model's outputs are not finite numbers once parts of this row are left out: it needs them all, and "
            "the row cannot be explained."
        )
    return {
        "quantity": explanation.quantity,
        "label": explanation.label,
        "value": explanation.value,
        "baseline": explanation.baseline,
        "inputs": [_input(one, explanation) for one in explanation.view.by_input()],
    }


def _input(one: InputParts, explanation: Explanation) -> dict[str, Any]:
    parts = zip(one.view.parts, explanation.attributions[one.range].tolist(), strict=True)
    return {
        "name": one.name,
        "kind": one.view.part_kind,
        "seen": one.view.seen(),
        "parts": [{"name": part.name, "place": part.place, "attribution": value} for part, value in parts],
    }
