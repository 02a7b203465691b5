"""Probabilities that can be believed: logits are divided by one number, in the graph."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import torch

from maas.compression.passes.base import PassContext
from maas.compression.training_rows import net_of
from maas.errors import ExportError
from maas.runtime.codec import ModelInputs, Outputs
from maas.runtime.model import outputs_in_batches
from maas.scoring.temperature import fitted_temperature
from maas.training.checkpoint import Checkpoint
from maas.training.heads.classification import ClassificationHead

LOGITS = "logits"


@dataclass(frozen=True)
class Temperature:
    """Divides logits by the temperature with the smallest log loss on validation rows; predicted labels stay.

    It is applied to every checkpoint that a search exports, after all other passes, and what ONNX passes make of the
    graph contains it. The weights stay as they are.
    """

    side: ClassVar[Literal["checkpoint", "onnx"]] = "checkpoint"
    trains: ClassVar[bool] = False
    needs_teacher: ClassVar[bool] = False

    def apply(self, parent: Checkpoint, out: Path, context: PassContext) -> Checkpoint:
        """Writes the same net with its temperature, which is none of an earlier one's."""
        task_head, rows = parent.task_head(), context.splits.validation
        if not isinstance(task_head, ClassificationHead) or rows.targets is None:
            raise ExportError(
                f"The task {parent.record.task} has no probabilities of labels to calibrate. Leave it out."
            )
        if parent.postprocessor().thresholds:
            raise ExportError(
                "Labels are predicted by thresholds, which were chosen by probabilities that it would change. Set "
                "threshold=null, or leave it out."
            )
        net = net_of(parent)

        def run(model_inputs: ModelInputs) -> Outputs:
            with torch.inference_mode():
                found = net(**{name: torch.from_numpy(array) for name, array in model_inputs.items()})
            return {LOGITS: task_head.label_logits(found).numpy()}

        logits = outputs_in_batches(parent.processor(), rows.inputs, context.training.batch_size, run)[LOGITS]
        temperature = fitted_temperature(logits, rows.targets)
        return parent.succeeded_by(out, net, rows=context.rows, temperature=temperature, metrics={})


def is_calibrating(one: object) -> bool:
    """Whether a pass calibrates, and therefore comes last."""
    return isinstance(one, Temperature)
