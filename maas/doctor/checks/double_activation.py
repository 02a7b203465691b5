"""A net that ends in softmax or sigmoid before a loss that wants logits."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck

SLACK = 1e-4
"""How far float32 sums of probabilities may lie from 1."""


def check(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Applying an activation twice: gradients shrink, and no answer can be surer than e : K − 1.

    It is told by what the net gives for real rows, and goes on giving whatever its weights are. A net of log
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
    for answer in recipe.extremes if found else []:
        found = {name for name in found if LAST_ACTIVATIONS[name](answer)}
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
