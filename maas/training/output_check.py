"""An output check: a net answers a handful of rows before anything is spent on it.

What it finds would otherwise end in a traceback of training or of the export, or in a wrong prediction for the first
request that holds one row. The doctor makes one of every net that is about to be trained; `fit` of those that are not.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from typing import Literal

import torch
from torch import Tensor, nn

from maas.data.splits import Split
from maas.errors import ConfigError
from maas.runtime.processors import Processor
from maas.training.evaluation import NET_ERRORS
from maas.training.resuming import random_states, restore_random_states

CHECKED_OUTPUT_ROWS = 8
"""That a net which is not trained answers together."""
SMALL_BATCHES = (1, 2, 3)
"""Rows of the smallest batches: a server answers one row alone, and so may the last batch of an epoch be."""
OUTPUT_TOLERANCE = 1e-3
"""Between two answers to the same rows, as a fraction of the outputs' size: far above float32's rounding."""
HALVES = (torch.float16, torch.bfloat16)
_NOT_OWN = (Path(__file__).resolve().parents[1], Path(os.__file__).resolve().parent)
"""Folders of maas and of Python's standard library."""


@dataclass(frozen=True)
class OutputFault:
    """What is wrong with a net's outputs.

    Args:
        kind: `form` of what the net gives, `random` where it differs from call to call, `mates` where a row's outputs
            depend on the rest of its batch.
        what: was found, with its numbers; a sentence.
        remedy: what to change; a sentence.
        error: what the net raised; None where it gave something.
    """

    kind: Literal["form", "random", "mates"]
    what: str
    remedy: str
    error: Exception | None = None


@dataclass(frozen=True)
class _Wanted:
    """The shape of logits that a task wants: K outputs for each row, or for each frame of it.

    Args:
        outputs: K; None for any number.
        axes: 2 for (N, K), 3 for (N, F, K).
    """

    outputs: int | None
    axes: int

    @property
    def named(self) -> str:
        """The shape in letters."""
        return "(N, K)" if self.axes == 2 else "(N, F, K)"

    def is_met(self, found: Tensor, rows: int) -> bool:
        """Whether logits of so many rows have it."""
        is_wide = self.outputs in (None, found.shape[-1] if found.ndim else None)
        return found.ndim == self.axes and found.shape[0] == rows and is_wide

    def shape(self, found: Tensor, rows: int) -> str:
        """Returns it in numbers; K is that of the logits where any number will do."""
        width = self.outputs if self.outputs is not None else found.shape[-1] if found.ndim > 1 else "K"
        return f"({rows}, {width})" if self.axes == 2 else f"({rows}, F, {width})"


def require_sound_outputs(
    net: nn.Module, processor: Processor, rows: Split, outputs: int | None, axes: int = 2
) -> None:
    """Lets a net answer a few rows.

    Args:
        net: model inputs by name to logits (N, K).
        processor: fitted.
        rows: to take the few from.
        outputs: K; None for any number.
        axes: of the logits, as its task has them.

    Raises:
        ConfigError: its outputs are not what the task wants, or not the same for the same row.
    """
    model_inputs = processor.batch(processor.preprocess(rows.spread(CHECKED_OUTPUT_ROWS).inputs))
    tensors = {name: torch.from_numpy(array) for name, array in model_inputs.items()}
    fault = output_fault_of(net, tensors, outputs, axes)
    if fault is not None:
        raise ConfigError(f"model: {fault.what} {fault.remedy}") from fault.error


def output_fault_of(
    net: nn.Module, model_inputs: Mapping[str, Tensor], outputs: int | None, axes: int = 2
) -> OutputFault | None:
    """Looks at a net's outputs in evaluation mode: for a batch of rows, again, and for the first few of them alone.

    Args:
        net: its modes and all random states are left as they are.
        model_inputs: of N rows, by name.
        outputs: K; None for any number.
        axes: of the logits: 2 for (N, K), 3 for (N, F, K).

    Returns:
        The first thing that is wrong; None where all is well.
    """
    rows, wanted = len(next(iter(model_inputs.values()))), _Wanted(outputs, axes)
    with _evaluated(net):
        together = _outputs(net, model_inputs, rows, wanted)
        if isinstance(together, OutputFault):
            return together
        again = _outputs(net, model_inputs, rows, wanted)
        if isinstance(again, OutputFault) or differ(together, again):
            return OutputFault(
                "random",
                "in evaluation mode it gives other outputs each time for the same rows.",
                "Pass training=self.training to functional dropout, and draw random numbers in training alone.",
            )
        for count in sorted({count for count in (*SMALL_BATCHES, rows // 2) if 0 < count < rows}, reverse=True):
            few = {name: model_input[:count] for name, model_input in model_inputs.items()}
            alone = _outputs(net, few, count, wanted)
            if isinstance(alone, OutputFault):
                return alone
            if differ(together[:count], alone):
                return OutputFault(
                    "mates",
                    f"in evaluation mode a row's outputs depend on the other rows of its batch: those of {count} among "
                    f"{rows} are not those of {count} alone.",
                    "Let batch norm use its running averages (track_running_stats=True, training=self.training), and "
                    "take no mean over the rows and no count of them in forward.",
                )
    return None


def differ(left: Tensor, right: Tensor) -> bool:
    """Whether two sets of outputs for the same rows are not the same but for rounding."""
    if left.shape != right.shape:
        return True
    size = max(float(left.abs().max()), 1e-6)
    return float((left - right).abs().max()) > OUTPUT_TOLERANCE * size


def _outputs(net: nn.Module, model_inputs: Mapping[str, Tensor], rows: int, wanted: _Wanted) -> Tensor | OutputFault:
    """Returns a net's outputs in float32, or what is wrong with their form."""
    doubles = [name for name, one in net.named_parameters() if one.dtype is torch.float64]
    single = (
        f"Leave .double() and dtype=torch.float64 out of the net{f' ({doubles[0]})' if doubles else ''}; "
        "+trainer.precision=64-true trains in float64."
    )
    any_size = "Let forward work for a batch of any size, e.g. with squeeze(1) or flatten(1) in place of squeeze()."
    try:
        found: object = net(**model_inputs)
    except NET_ERRORS as error:
        what = f"{counted(rows)} cannot be answered: {error_line(error)}."
        return OutputFault("form", what, single if doubles else any_size, error)
    if not isinstance(found, Tensor):
        remedy = f"Let forward return one tensor of logits, {wanted.named}."
        return OutputFault("form", f"it gives a {type(found).__name__}; the task wants a tensor.", remedy)
    if found.dtype not in (torch.float32, *HALVES):
        name = str(found.dtype).removeprefix("torch.")
        remedy = single if found.is_floating_point() else "Let forward return the logits themselves."
        return OutputFault("form", f"its outputs are {name}; the task wants float32.", remedy)
    if not wanted.is_met(found, rows):
        gives = f"{counted(rows)} {'gives' if rows == 1 else 'give'} outputs of shape {tuple(found.shape)}"
        whole = f"Let forward return one row of K outputs for each row, {wanted.named}."
        said = f"{gives}; the task wants {wanted.shape(found, rows)}."
        return OutputFault("form", said, any_size if rows in SMALL_BATCHES else whole)
    return found.float()


def counted(rows: int) -> str:
    """Returns a number of rows in words."""
    return "1 row alone" if rows == 1 else f"{rows} rows"


def error_line(error: Exception) -> str:
    """Returns an error's type, the first line of its message and the place in the user's own code, if it has one."""
    line = next((line for line in str(error).splitlines() if line.strip()), "")
    said = f"{type(error).__name__}{': ' if line else ''}{line.strip()[:200].rstrip('.')}"
    own = [frame for frame in extract_tb(error.__traceback__) if _is_of_user(Path(frame.filename))]
    return f"{said} ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else said


def _is_of_user(file: Path) -> bool:
    """Whether code is neither maas' nor an installed package's nor Python's own."""
    return file.is_file() and not {"site-packages", "dist-packages"} & {*file.parts} and not _is_below(file, _NOT_OWN)


def _is_below(file: Path, folders: tuple[Path, ...]) -> bool:
    return any(file.resolve().is_relative_to(folder) for folder in folders)


@contextmanager
def _evaluated(net: nn.Module) -> Iterator[None]:
    """Puts a net into evaluation mode without gradients, and takes back what that and its own chance changed."""
    modes, states = {module: module.training for module in net.modules()}, random_states()
    net.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        restore_random_states(states)
        for module, mode in modes.items():
            module.training = mode
