"""Parameters that are not trained, though they could be."""

from collections.abc import Iterator

from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck

TOLERATED_RISE = 4.0
"""How many times its start the last loss may be: a net that has diverged is dead in places that were not."""


def check(recipe: RecipeUnderCheck) -> Iterator[Finding]:
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
