"""Texts that a model generates for the rows of a file, each from its prompt."""

from collections.abc import Sequence

import pyarrow as pa

from maas.errors import MaasError
from maas.predicting.blocks import RowBlock
from maas.predicting.model_rows import InputsReader, PredictedPart
from maas.runtime.generation.generator import Generated, TextGenerator
from maas.runtime.generation.settings import GenerationSettings

TEXTS_PER_SLOT = 4
"""Texts of a part that follow each other in a slot of the model."""


class GeneratingModel:
    """Continues the prompts of a part together; each text is the one that its prompt alone gives.

    Args:
        generator: the model.
        reader: reads the prompts.
        settings: how texts are continued.
        prefix: what begins each column's name.
        slots: number of texts that the model continues at once.
    """

    def __init__(
        self, generator: TextGenerator, reader: InputsReader, settings: GenerationSettings, prefix: str, slots: int
    ) -> None:
        self._generator, self._reader, self._settings = generator, reader, settings
        self.part_rows = TEXTS_PER_SLOT * slots
        fields = {"text": pa.string(), "finish_reason": pa.string(), "tokens": pa.float64()}
        self.schema = pa.schema([(f"{prefix}{name}", type_) for name, type_ in fields.items()])

    def predicted(self, part: RowBlock) -> PredictedPart:
        """Returns texts, why they ended, and their numbers of tokens."""
        prompts, wrong = self._reader.rows(part)
        faults = {**wrong, **part.faults}
        faults |= {
            place: "The row has no prompt."
            for place, prompt in enumerate(prompts)
            if place not in faults and (prompt is None or not isinstance(prompt, str | list))
        }
        places = [place for place in range(len(part)) if place not in faults]
        outcomes = self._generator.outcomes([prompts[place] for place in places], self._settings)  # type: ignore[misc]
        rows: list[tuple[object, ...]] = [(None, None, None)] * len(part)
        for place, outcome in zip(places, outcomes, strict=True):
            if isinstance(outcome, MaasError):
                faults[place] = str(outcome)
            else:
                rows[place] = _cells(outcome)
        return PredictedPart(self._table(rows), faults)

    def _table(self, rows: Sequence[tuple[object, ...]]) -> pa.Table:
        columns = zip(*rows, strict=True)
        return pa.Table.from_arrays(
            [pa.array(column, field.type) for column, field in zip(columns, self.schema, strict=True)],
            schema=self.schema,
        )


def _cells(generated: Generated) -> tuple[object, ...]:
    return generated.text, generated.finish_reason, float(len(generated.chosen))
