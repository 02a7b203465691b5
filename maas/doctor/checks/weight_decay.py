"""What the L2 term shrinks, and how often."""

from collections.abc import Iterator

from torch.optim import Adagrad, Adam, Adamax, AdamW, NAdam, RAdam, RMSprop

from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck
from maas.training.recipe import required

ADAPTIVE = (Adam, AdamW, NAdam, RAdam, Adamax, Adagrad, RMSprop)
"""They divide each gradient by its own size; torch's AdamW is an Adam that decays beside the gradient."""


def check_decay(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Sending L2 through an adaptive gradient, which hardly shrinks weights with large gradients, or setting it twice.

    Source:
        Loshchilov and Hutter, Decoupled weight decay regularization, arXiv:1711.05101, §2.
    """
    optimizer = recipe.optimizer if recipe.is_trained_here else None
    if optimizer is None:
        return
    l2, defaults = float(required(recipe.training.objective, "objective").get("l2") or 0.0), optimizer.defaults
    decay, name = float(defaults.get("weight_decay") or 0.0), type(optimizer).__name__
    is_decoupled = isinstance(optimizer, AdamW) or bool(defaults.get("decoupled_weight_decay"))
    if l2 and decay:
        yield Finding(
            "warning",
            "objective.l2",
            f"weights are shrunk twice: by objective.l2={l2:g} and by the weight_decay of {decay:g} of {name}.",
            "Keep one: objective.l2=0, or optimizer.weight_decay=0.",
        )
    elif l2 and isinstance(optimizer, ADAPTIVE):
        yield Finding(
            "warning",
            "objective.l2",
            f"{name} divides the gradient of L2 ({l2:g}) by its size, so that all weights shrink alike.",
            "Set objective.l2=0 optimizer=adamw optimizer.weight_decay=0.01.",
        )
    elif decay and isinstance(optimizer, ADAPTIVE) and not is_decoupled:
        yield Finding(
            "warning",
            "optimizer.weight_decay",
            f"the weight_decay of {decay:g} of {name} goes through its adaptive gradient and is no decay.",
            "Set optimizer=adamw, which decays beside the gradient.",
        )


def check_decayed_biases(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Shrinking parameters whose size is no sign of overfitting: biases, and gains of norms, which begin at 1.

    Source:
        He et al., Bag of tricks, arXiv:1812.01187, §3.1.
    """
    if not recipe.is_trained_here:
        return
    if names := recipe.smoke_run.decayed:
        where = "model" if recipe.is_custom_module else "optimizer.weight_decay"
        groups = "Give the optimizer two groups, the one of biases and norms with weight_decay=0"
        remedy = (
            f"{groups}." if recipe.is_custom_module else f"Set objective.covers=weights. {groups}, if it makes its own."
        )
        yield Finding("warning", where, f"weight decay also shrinks {_listed(names)}.", remedy)
    if not recipe.is_custom_module and recipe.objective.is_penalised:
        covered = recipe.objective.covered(recipe.net)
        if flat := [name for name, one in covered.items() if one.ndim < 2]:
            remedy = "Set objective.covers=weights."
            yield Finding("warning", "objective.covers", f"the penalty also shrinks {_listed(flat)}.", remedy)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more biases and norms" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"
