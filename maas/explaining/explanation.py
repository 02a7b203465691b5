"""What is known of a prediction once its row's parts were left out."""

import html
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maas.errors import InputError
from maas.explaining.colours import printable
from maas.explaining.parts import InputParts, Parts, RowPart
from maas.explaining.sampling import ValuesOfParts

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, eq=False)
class Explanation:
    """How much each part of a row adds to a number of the model's prediction.

    Printed, it is coloured text: red parts speak for the prediction, blue ones against it. A notebook shows it as HTML.

    Args:
        parts: of the row, P.
        attributions: what each adds, (P,), in the unit of `quantity`.
        value: the number for the whole row.
        baseline: the number with every part left out; with Shapley values, `attributions` add up to value − baseline.
        quantity: what the number is: `log-odds` of a label, the `value`, the `cosine` to the whole row's vector, or the
            `log-probability` of a text, of a sound or after a prompt.
        label: the label that the log-odds are of, or the text, shortened.
        view: shows the parts.
    """

    parts: tuple[RowPart, ...]
    attributions: ValuesOfParts
    value: float
    baseline: float
    quantity: str
    label: str | None
    view: Parts = field(repr=False)

    @property
    def title(self) -> str:
        """One line: what is explained, and its numbers."""
        of = f"{self.quantity} of {printable(self.label)}" if self.label is not None else self.quantity
        return f"{of}: {self.value:.4g}; with every part left out {self.baseline:.4g}"

    def top(self, count: int = 5) -> list[tuple[RowPart, float]]:
        """Returns the parts that matter most, for or against, with what they add, the strongest first."""
        order = np.argsort(-np.abs(self.attributions), kind="stable")[:count]
        return [(self.parts[index], float(self.attributions[index])) for index in order]

    def record(self) -> dict[str, Any]:
        """Returns it with its parts by input, ready for JSON.

        Raises:
            InputError: one of its numbers is not finite, as the model needs what was left out.
        """
        if not np.isfinite([self.value, self.baseline, *self.attributions]).all():
            raise InputError(
                "The model's outputs are not finite numbers once parts of this row are left out: it needs them all, "
                "and the row cannot be explained."
            )
        inputs = [self._input(one) for one in self.view.by_input()]
        numbers = {"value": self.value, "baseline": self.baseline}
        return {"quantity": self.quantity, "label": self.label, **numbers, "inputs": inputs}

    def _input(self, one: InputParts) -> dict[str, Any]:
        parts = zip(one.view.parts, self.attributions[one.range].tolist(), strict=True)
        return {
            "name": one.name,
            "kind": one.view.part_kind,
            "seen": one.view.seen(),
            "parts": [{"name": part.name, "place": part.place, "attribution": value} for part, value in parts],
        }

    def __str__(self) -> str:
        return f"{self.title}\n{self.view.text(self.attributions)}"

    def html(self) -> str:
        """Returns a piece of a page that needs nothing else; whatever the row holds is escaped."""
        return f"<div><p>{html.escape(self.title)}</p>{self.view.html(self.attributions)}</div>"

    def _repr_html_(self) -> str:
        return self.html()

    def picture(self) -> "Image":
        """Returns a picture: patches over the image, windows over the wave, bars of columns.

        Raises:
            InputError: the parts are words, which are shown as text.
        """
        return self.view.picture(self.attributions, self.title)

    def save(self, path: str | Path) -> Path:
        """Writes the picture (`.png`) or the page (`.html`).

        Raises:
            InputError: the name ends otherwise, or there is no picture of such parts.
        """
        path = Path(path)
        if path.suffix == ".html":
            path.write_text(f'<!doctype html><meta charset="utf-8">{self.html()}', encoding="utf-8")
        elif path.suffix == ".png":
            self.picture().save(path)
        else:
            raise InputError(f"{path} ends in {path.suffix!r}; an explanation is saved as .png or .html.")
        return path
