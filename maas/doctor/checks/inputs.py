"""Inputs that a net cannot learn from well: not normalised, constant, cut, unknown."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.hooks import RemovableHandle

from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck, outputs_or_none
from maas.runtime.processors import SingleArrayProcessor

FARTHEST_MEAN = 10.0
"""Of what the first layer sees: its gradients are then all but parallel."""
LARGEST_DEVIATION = 30.0
"""Plain pixels have about 70 and standardised inputs 1; log-mel energies and counts lie between them."""
SMALLEST_DEVIATION = 1e-3
"""Below it, all rows look alike to layers of the usual initialisation."""
NORMS = (_BatchNorm, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm)
TABLES = (nn.Embedding, nn.EmbeddingBag)


def check_inputs(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Feeding raw values to a layer that is made for inputs of mean 0 and deviation 1, or columns without content.

    Source:
        LeCun et al., Efficient backprop, 1998, §4.3: the mean of each input should be near zero, their scales alike.
    """
    yield from _constant_columns(recipe)
    if not recipe.is_trained_here:
        return
    seen = first_seen(recipe.net, recipe.probe[0])
    if seen is None:
        return
    layer, values = seen
    where = f"model.{layer}" if layer else "model"
    if not values.isfinite().all():
        fraction = 1 - values.isfinite().float().mean().item()
        remedy = "Replace missing values before the first layer, and look for divisions by 0 in the data."
        yield Finding(
            "error", where, f"{fraction:.1%} of the numbers that its first layer sees are not finite.", remedy
        )
        return
    deviation = values.std().item() if values.numel() > 1 else 1.0
    if deviation < SMALLEST_DEVIATION:
        remedy = "Look at the scale that the model or the processor applies, and at the rows."
        yield Finding("warning", where, f"its first layer sees all but one number: deviation {deviation:.2g}.", remedy)
    elif worst := _worst_column(values):
        yield Finding(
            "warning",
            where,
            f"its first layer sees numbers of mean {worst[0]:.3g} and deviation {worst[1]:.3g}.",
            "Bring them to about mean 0 and deviation 1 inside the net, e.g. by model.scale, model.mean, a BatchNorm.",
        )


def first_seen(net: nn.Module, model_inputs: dict[str, Tensor]) -> tuple[str, Tensor] | None:
    """Returns name and input of the first layer with trainable weights; None where it is a table or a norm."""
    seen: list[tuple[str, Tensor | None]] = []

    def look(name: str, module: nn.Module) -> RemovableHandle:
        def hook(_: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            given = [one for one in (*arguments, *named.values()) if isinstance(one, Tensor)]
            plain = isinstance(module, TABLES + NORMS) or not given or not given[0].is_floating_point()
            seen.append((name, None if plain else given[0].detach().float()))

        return module.register_forward_pre_hook(hook, with_kwargs=True)

    layers = [(name, one) for name, one in net.named_modules() if any(p.requires_grad for p in one.parameters(False))]
    hooks = [look(name, layer) for name, layer in layers if layer is not net]
    outputs_or_none(net, model_inputs)
    for hook in hooks:
        hook.remove()
    name, values = seen[0] if seen else ("", None)
    return None if values is None else (name, values)


def _worst_column(values: Tensor) -> tuple[float, float] | None:
    """Returns mean and deviation of the column (of rows of numbers) or of everything, where they are far off."""
    columns = values if values.ndim == 2 and len(values) > 1 else values.reshape(-1, 1)
    means, deviations = columns.mean(0), columns.std(0) if len(columns) > 1 else torch.zeros(columns.shape[1])
    excess = torch.maximum(means.abs() / FARTHEST_MEAN, deviations / LARGEST_DEVIATION)
    worst = int(excess.argmax())
    return (means[worst].item(), deviations[worst].item()) if excess[worst] > 1 else None


def _constant_columns(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Yields columns of a table that hold one value; pixels and samples at an edge may well do so."""
    rows = recipe.splits.train.inputs
    if not len(rows) or not isinstance(rows[0], dict):
        return
    for name in [*getattr(recipe.processor, "numbers", ()), *getattr(recipe.processor, "categories", ())]:
        first = str(rows[0].get(name))
        if len(rows) > 1 and all(str(row.get(name)) == first for row in rows):
            remedy = "Leave it out of processor.numbers or processor.categories, or see why the data lost it."
            yield Finding("warning", f"processor, column {name}", f"every training row holds {first}.", remedy)


SAMPLED_TEXTS = 512
"""Training texts: fractions of them are right to some points."""
MOST_CUT = 0.5
"""Fraction of texts that are cut: then what the recipe learns from is mostly beginnings."""
MOST_UNKNOWN = 0.2
"""Fraction of unknown tokens: one word in five missing changes what a sentence means."""


def check_vocabulary(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Cutting most texts, or a vocabulary that does not know the language.

    Source:
        Karpathy, A recipe for training neural networks, 2019: look at exactly what goes into the net.
    """
    if recipe.processor.modality != "text" or not isinstance(recipe.processor, SingleArrayProcessor):
        return
    rows = recipe.processor.arrays(recipe.splits.train.spread(SAMPLED_TEXTS).inputs)
    longest = int(recipe.processor.settings()["max_tokens"])
    cut = float(np.mean([row.shape[-1] >= longest for row in rows]))
    if cut > MOST_CUT:
        yield Finding(
            "warning",
            "processor.max_tokens",
            f"{cut:.0%} of the training texts have {longest} tokens or more and are cut.",
            f"Set e.g. processor.max_tokens={2 * longest}.",
        )
    unknown = getattr(recipe.processor, "unknown_id", None)
    if unknown is None:
        return
    tokens = np.concatenate([row if row.ndim == 1 else row[0] for row in rows])
    fraction = float(np.mean(tokens == unknown))
    if fraction > MOST_UNKNOWN:
        yield Finding(
            "warning",
            "processor",
            f"{fraction:.0%} of the training texts' tokens are unknown to it.",
            "Raise processor.vocabulary_size, or choose a tokenizer of the texts' language.",
        )
