"""What a net gives: its shape, whether it depends on the rows, what it was activated with."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from maas.doctor.checks.scales import fault_of_target
from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck
from maas.training.output_check import error_line

WARNED = "Using a target size"
"""How torch begins to warn of losses between unequal shapes."""


def check_shapes(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Letting (N, 1) meet (N,): the difference is N×N, the loss falls, and every prediction becomes the mean.

    Source:
        The broadcasting rules, docs.pytorch.org/docs/stable/notes/broadcasting.html; torch warns of it in its own
        losses alone.
    """
    if not recipe.is_trained_here:
        return
    fault, smoke_run = recipe.fault, recipe.smoke_run
    if fault is not None and fault.kind == "form":
        yield Finding("error", "model", fault.what, fault.remedy)
    elif smoke_run.squares or any(WARNED in warning for warning in smoke_run.warned):
        yield Finding(
            "error",
            "model" if recipe.is_custom_module else "objective.loss",
            "outputs (N, 1) meet targets (N,) in the loss, which silently compares every row with every other.",
            "Take outputs.squeeze(1), so that both are (N,).",
        )
    elif smoke_run.error is not None and "deterministic" not in str(smoke_run.error):
        yield Finding(
            "warning" if recipe.is_custom_module else "error",
            "model",
            f"step {len(smoke_run.losses) + 1} of training fails: {error_line(smoke_run.error)}.",
            "Mend the net or the objective; the loss must be one number of a batch's logits (N, K) and targets (N,).",
        )
    elif smoke_run.losses and not math.isfinite(smoke_run.losses[0]):
        yield Finding(
            "error",
            "objective",
            f"the first loss is {smoke_run.losses[0]}, before anything was learnt.",
            "Look for logarithms of 0, roots of negative numbers, and missing values in the data.",
        )


SAME = 1e-6
"""Spread of the outputs over the rows, as a fraction of their size: float32's rounding."""
FARTHEST = 2.0
"""How many times ln K the first loss may be: a head of the usual initialisation begins near it."""
BALANCED = 2.0
"""How many times its equal share the commonest label may have."""


def check_dead_outputs(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Dead units that block every row alike, rows that reach the model alike, or logits that are to be unlearnt first.

    A head that begins at 0 gives equal outputs at first; what counts is whether they stay so in a few steps.

    Source:
        Karpathy, A recipe for training neural networks, 2019: "verify loss @ init"; dead units: Lu et al.,
        arXiv:1903.06733.
    """
    if not recipe.is_trained_here or recipe.logits is None or len(recipe.logits) < 2:
        return
    after = recipe.smoke_run.logits
    if _are_same(recipe.logits) and (after is None or _are_same(after)) and not fault_of_target(recipe):
        yield _same_inputs(len(recipe.logits)) if _are_alike(recipe.probe[0]) else _same_outputs(len(recipe.logits))
    loss, usual = _first_loss(recipe, recipe.logits), math.log(max(2, len(recipe.labels)))
    if loss is not None and loss > FARTHEST * usual:
        yield Finding(
            "warning",
            "model",
            f"the first cross-entropy is {loss:.3g}; guessing has {usual:.3g}, and the labels are balanced.",
            "Begin with a smaller head, and look at the scale of its inputs.",
        )


def _same_outputs(rows: int) -> Finding:
    return Finding(
        "error",
        "model",
        f"it gives the same outputs for {rows} different rows, and still after a few steps.",
        "Look for dead ReLUs, inputs scaled to nothing, and a forward that does not use its input.",
    )


def _same_inputs(rows: int) -> Finding:
    return Finding(
        "error",
        "processor",
        f"{rows} rows from all over the training data reach the model as one and the same input.",
        "Look at what sets the rows apart: a word that is in few training texts is unknown to the model, and what lies "
        "beyond the longest input is cut off.",
    )


def _are_alike(model_inputs: Mapping[str, Tensor]) -> bool:
    """Whether all rows of a batch are the first one."""
    return all(torch.equal(array, array[:1].expand_as(array)) for array in model_inputs.values())


def _are_same(outputs: Tensor) -> bool:
    spread = (outputs.amax(dim=0) - outputs.amin(dim=0)).max()
    return bool(spread <= SAME * (1 + outputs.abs().max())) if outputs.isfinite().all() else False


def _first_loss(recipe: RecipeUnderCheck, logits: Tensor) -> float | None:
    """Returns the cross-entropy of balanced labels; None where they are not, or outputs are no logits of theirs.

    Before any step a batch norm has no averages yet, so that the loss in training mode counts where it is smaller.
    """
    labels, targets = recipe.labels, recipe.probe[1]
    width = 1 if recipe.training.task == "binary" else len(labels)
    if not labels or tuple(logits.shape) != (len(targets), width):
        return None
    if np.bincount(recipe.targets("train")).max() > BALANCED / len(labels) * len(recipe.splits.train):
        return None
    pairs = torch.cat([torch.zeros_like(logits), logits], dim=1) if width == 1 else logits
    return min([float(functional.cross_entropy(pairs, targets)), *recipe.smoke_run.losses[:1]])


SLACK = 1e-4
"""How far float32 sums of probabilities may lie from 1."""


def check_double_activation(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Applying an activation twice: gradients shrink, and no answer can be surer than e : K − 1.

    It shows in what the net gives for real rows, whatever its weights are. A net of log
    probabilities under cross-entropy is only waste: log softmax of them is themselves.

    Source:
        Karpathy, "most common neural net mistakes", no. 4: "you passed softmaxed outputs to a loss that expects raw
        logits".
    """
    if not recipe.is_trained_here or recipe.task_head.target != "label" or recipe.logits is None:
        return
    ending = ending_of(recipe.logits, recipe)
    loss = None if recipe.is_custom_module else recipe.objective.loss
    if isinstance(loss, nn.NLLLoss) and ending != "a log-softmax":
        yield Finding(
            "error",
            "objective.loss",
            "NLLLoss wants log probabilities, and the net does not give them: this loss falls without end.",
            "Set objective=cross_entropy and let the net give logits.",
        )
    elif ending == "a log-softmax" and not isinstance(loss, nn.NLLLoss):
        yield Finding(
            "warning",
            "model",
            "the net ends in a log-softmax, and the loss takes another, which changes nothing.",
            "Return the logits, without log_softmax.",
        )
    elif ending in ("a softmax", "a sigmoid"):
        yield Finding(
            "error",
            "model",
            f"the net ends in {ending}: all its outputs lie between 0 and 1, and the loss wants logits.",
            "Return the logits; the loss, the graph and the answers activate them.",
        )


def ending_of(outputs: Tensor, recipe: RecipeUnderCheck) -> str | None:
    """Returns what a net's outputs were activated with; None where they are free."""
    found = {name for name, holds in LAST_ACTIVATIONS.items() if holds(outputs)}
    for extreme in recipe.extremes if found else []:
        found = {name for name in found if LAST_ACTIVATIONS[name](extreme)}
    return next((name for name in LAST_ACTIVATIONS if name in found), None) if found and recipe.extremes else None


def _is_softmax(outputs: Tensor) -> bool:
    return outputs.ndim == 2 and outputs.shape[1] > 1 and _is_sigmoid(outputs) and _is_one(outputs.sum(dim=1))


def _is_log_softmax(outputs: Tensor) -> bool:
    return outputs.ndim == 2 and outputs.shape[1] > 1 and bool((outputs <= 0).all()) and _is_one(outputs.exp().sum(1))


def _is_sigmoid(outputs: Tensor) -> bool:
    return bool(((outputs >= 0) & (outputs <= 1)).all())


def _is_one(sums: Tensor) -> bool:
    return torch.allclose(sums, torch.ones_like(sums), atol=SLACK)


LAST_ACTIVATIONS = {"a softmax": _is_softmax, "a log-softmax": _is_log_softmax, "a sigmoid": _is_sigmoid}
