"""L2 asked for twice, or of an optimizer that turns it into something else."""

from collections.abc import Iterator

from torch.optim import Adagrad, Adam, Adamax, AdamW, NAdam, RAdam, RMSprop

from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck

ADAPTIVE = (Adam, AdamW, NAdam, RAdam, Adamax, Adagrad, RMSprop)
"""They divide each gradient by its own size; torch's AdamW is an Adam that decays beside the gradient."""


def check(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Sending L2 through an adaptive gradient, where weights with large gradients are hardly shrunk, or asking twice.

    Source:
        Loshchilov and Hutter, Decoupled weight decay regularization, arXiv:1711.05101, §2.
    """
    optimizer = recipe.optimizer if recipe.is_trained_here else None
    if optimizer is None:
        return
    l2, defaults = float(recipe.config.objective.get("l2") or 0.0), optimizer.defaults
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
