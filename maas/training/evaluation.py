"""What a trained model predicts by its own framework: the reference for everything that is exported."""

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from maas.importing.base import ImportedModel
from maas.runtime.codec import Codec, ModelInputs, Outputs, Run
from maas.runtime.model import outputs_in_batches
from maas.runtime.postprocessors import Postprocessor
from maas.training.heads import TaskHead

NET_ERRORS: tuple[type[Exception], ...] = (RuntimeError, ValueError, TypeError, IndexError)
"""What torch raises where shapes, types or arguments do not fit; any other error is a bug of the net's own code."""


def run_of(model: nn.Module | ImportedModel, task_head: TaskHead, output: str) -> Run:
    """Returns how a model is run on model inputs without ONNX: by torch, or by the framework that it was made in.

    Args:
        model: in evaluation mode, on the CPU.
        task_head: what a net's logits mean.
        output: the name under which the answer's plain numbers are returned.
    """
    if isinstance(model, ImportedModel):
        return lambda model_inputs: {output: model.outputs(model_inputs)}

    def run(model_inputs: ModelInputs) -> Outputs:
        with torch.inference_mode():
            tensors = {name: torch.from_numpy(array) for name, array in model_inputs.items()}
            return {output: task_head.answered(model, tensors).numpy()}

    return run


def scores_of(
    run: Run, postprocessor: Postprocessor, processor: Codec, rows: Sequence[Any], batch_size: int = 32
) -> NDArray[Any]:
    """Returns a model's plain numbers for raw rows.

    Args:
        run: how the model is run on model inputs.
        postprocessor: names the output.
        processor: the one that the model was trained with.
        rows: N raw inputs.
        batch_size: rows in a batch; rows of equal padded size share one.

    Returns:
        (N, K), in the order of the rows.
    """
    return postprocessor.scores(outputs_in_batches(processor, rows, batch_size, run))
