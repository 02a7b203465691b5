"""The first steps: gradients, how far they lead, and what they leave out."""

import math
from collections.abc import Iterator

from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck

LARGEST_GRADIENT = 1e4
"""Of a gradient, in units of the loss where numbers are learnt: no usual initialisation comes near."""
SMALLEST_GRADIENT = 1e-8
"""Adam adds as much to each gradient's size before it divides by it."""


def check_gradients(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Beginning where there is no slope, or a cliff.

    Source:
        Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010; Pascanu et
        al., arXiv:1211.5063.
    """
    if not recipe.is_trained_here or not recipe.smoke_run.gradient_norms:
        return
    norm = recipe.smoke_run.gradient_norms[0]
    loss = abs(recipe.smoke_run.losses[0]) if recipe.smoke_run.losses else 1.0
    unit = max(1.0, loss) if recipe.task_head.target == "number" else 1.0
    if not math.isfinite(norm):
        what, remedy = "is not finite", "Look for divisions by 0 and roots of 0 in forward and in the loss."
    elif norm > LARGEST_GRADIENT * unit:
        what = f"has a length of {norm:.2g} at a loss of {loss:.3g}"
        remedy = "Normalise the inputs, begin with smaller weights, or set trainer.gradient_clip_val=1.0."
    elif norm < SMALLEST_GRADIENT:
        what = f"has a length of {norm:.2g}"
        remedy = "Begin with larger weights, and look for saturated activations and detach() in forward."
    else:
        return
    yield Finding("error" if not math.isfinite(norm) else "warning", "model", f"the first gradient {what}.", remedy)


DIVERGED_RISE = 4.0
"""How many times its start the loss may be: where fastai's range test stops, too."""
SMALLEST_CHANGE = 1e-3
"""Of any weight over the whole run, as a fraction of its size, if every step went the same way."""


def check_learning_rate(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Taking steps that overshoot, or steps that are lost in rounding.

    Source:
        Smith, Cyclical learning rates, arXiv:1506.01186, §3.3; ratios of updates to weights: Stanford CS231n, Learning.
    """
    if not recipe.is_trained_here or recipe.smoke_run.error or len(recipe.smoke_run.losses) < 2:
        return
    losses, where = recipe.smoke_run.losses, "model" if recipe.is_custom_module else "optimizer.lr"
    lr = "" if recipe.optimizer is None else f" of {recipe.optimizer.defaults['lr']:g}"
    first, worst = losses[0], _worst(losses, is_number=recipe.task_head.target == "number")
    change = recipe.smoke_run.change * recipe.total_steps
    if math.isfinite(first) and (not math.isfinite(worst) or worst > DIVERGED_RISE * max(abs(first), 1e-3)):
        yield Finding(
            "error",
            where,
            f"with a learning rate{lr} the loss goes from {first:.3g} to {worst:.3g} within {len(losses)} steps.",
            "Set a rate that is at least 10 times smaller.",
        )
    elif recipe.total_steps and change < SMALLEST_CHANGE:
        yield Finding(
            "warning",
            where,
            f"with a learning rate{lr} no weight can change by more than {change:.2g} of its size in the whole run.",
            "Set a rate that is 10 to 1000 times larger.",
        )


def _worst(losses: list[float], *, is_number: bool) -> float:
    """Returns the loss that the first is compared with.

    Of numbers, a batch with an outlier may have any loss: only what no batch of the last quarter is below has diverged.
    """
    ranked = [loss if math.isfinite(loss) else math.inf for loss in losses]
    return min(ranked[-max(2, len(losses) // 4) :]) if is_number else max(ranked)


TOLERATED_RISE = 4.0
"""How many times its start the last loss may be: a net that has diverged is dead in places that were not."""


def check_untrained(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Leaving parameters out of the optimizer, out of the graph, or frozen altogether.

    Source:
        torch.optim's documentation: an optimizer updates what it is given; layers kept in a plain list are never given.
    """
    if not recipe.is_trained_here:
        return
    trainable = [name for name, one in recipe.net.named_parameters() if one.requires_grad]
    if not trainable:
        yield Finding(
            "error",
            "model",
            "it has no parameter that could be trained: all are frozen, or layers are kept in a plain list.",
            "Set requires_grad on some, keep layers in an nn.ModuleList, or set trainer=null to take it as it comes.",
        )
        return
    smoke_run = recipe.smoke_run
    if smoke_run.left_out:
        yield Finding(
            "warning" if recipe.is_custom_module else "error",
            "model" if recipe.is_custom_module else "optimizer",
            f"the optimizer does not hold {_listed(smoke_run.left_out)}, which stay as they began.",
            "Give it all of parameters(), or set requires_grad=False on what is to stay.",
        )
    dead = [name for name in trainable if name not in smoke_run.with_gradient and name not in smoke_run.left_out]
    is_evaluated = (
        bool(smoke_run.gradient_norms)
        and smoke_run.error is None
        and smoke_run.losses[-1:] <= [TOLERATED_RISE * smoke_run.losses[0]]
    )
    if dead and is_evaluated and len(dead) < len(trainable):
        yield Finding(
            "warning",
            f"model.{dead[0]}",
            f"no gradient reaches {_listed(dead)} in {len(smoke_run.losses)} steps.",
            "Use them in forward, look for detach() and no_grad() on the way, or remove them.",
        )


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"
