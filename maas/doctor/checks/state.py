"""What no checkpoint holds: state outside parameters and buffers, own random generators."""

import random
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck
from maas.training.output_check import error_line
from maas.training.reopening import differing, outputs_of, to_blame

OTHER_SEED = 1
"""Added to the recipe's: what is drawn when a net is built is drawn otherwise when a checkpoint is opened."""


def check_lost_state(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Keeping what training moves, or what is drawn at random, where `state_dict` does not look.

    A net is built once more, given the weights that a few steps have led to, and compared with the one that took them.

    Source:
        docs.pytorch.org/docs/stable/notes/serialization.html: a state dict holds parameters and persistent buffers.
    """
    if not recipe.is_trained_here or recipe.fault is not None or not recipe.smoke_run.losses or recipe.smoke_run.error:
        return
    net, state = recipe.smoke_run_net.eval(), recipe.smoke_run_net.state_dict()
    if hidden := [name for name, value in state.items() if not isinstance(value, Tensor)]:
        what = f"a {type(state[hidden[0]]).__name__} belongs to its state, and a checkpoint holds tensors alone."
        yield Finding("error", f"model.{hidden[0]}", what, "Keep it in buffers instead of get_extra_state().")
        return
    again = recipe.new_net(recipe.training.seed + OTHER_SEED).eval()
    try:
        again.load_state_dict(state)
    except RuntimeError as error:
        what = f"a net that is built again does not take the trained one's state: {error_line(error)}."
        remedy = "Register every parameter and buffer in __init__, with the shape that it keeps."
        yield Finding("error", "model", what, remedy)
        return
    model_inputs = {name: model_input.numpy() for name, model_input in recipe.probe[0].items()}
    if differing(outputs_of(net)(model_inputs)["outputs"], outputs_of(again)(model_inputs)["outputs"]).any():
        blamed = to_blame(net, again, model_inputs)
        named = ", ".join(map(str, blamed[:3])) or "state outside its modules"
        what = f"its outputs depend on {named}, which no checkpoint holds."
        remedy = f"{blamed[0].remedy[0].upper()}{blamed[0].remedy[1:]}." if blamed else "Keep it in buffers."
        yield Finding("error", f"model.{blamed[0].name}" if blamed else "model", what, remedy)


GENERATORS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)


def check_reproducibility(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Requiring determinism of operations that have none, or drawing from a generator that no checkpoint holds.

    Source:
        docs.pytorch.org/docs/stable/notes/randomness.html; training checkpoints hold the global generators' states.
    """
    if not recipe.is_trained_here:
        return
    error = recipe.smoke_run.error
    if error is not None and "deterministic" in str(error):
        yield Finding(
            "error",
            "trainer.deterministic",
            f"a step needs an operation that is not deterministic: {str(error).split('.')[0]}.",
            "Use another operation, or set trainer.deterministic=false.",
        )
    for name, module in recipe.net.named_modules():
        yield from _own_generators(f"model.{name}" if name else "model", module)
    if recipe.training.augment is not None and not recipe.is_custom_module:
        yield from _own_generators("augment", recipe.training.augment.build())
    if (
        not recipe.is_custom_module
        and recipe.training.trainer_settings.get("benchmark")
        and recipe.training.trainer_settings.get("deterministic")
    ):
        yield Finding(
            "warning",
            "trainer.benchmark",
            "cuDNN chooses its algorithms by timing them, which trainer.deterministic forbids.",
            "Leave trainer.benchmark out.",
        )


def _own_generators(where: str, owner: object) -> Iterator[Finding]:
    for name, value in getattr(owner, "__dict__", {}).items():
        if isinstance(value, GENERATORS):
            yield Finding(
                "warning",
                f"{where}.{name}",
                "it draws from a generator of its own, whose state a killed run loses.",
                "Draw from torch's global generator, which training checkpoints hold.",
            )
