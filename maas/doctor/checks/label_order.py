"""A model that carries names of labels in another order than the data."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck


def check(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Reading a pretrained head by another list of labels: the first steps unlearn it, and without training it lies.

    Source:
        `id2label` and `label2id` in the configuration of Hugging Face models, which silently stay those of the hub.
    """
    if not recipe.is_trained_here or not recipe.splits.labels:
        return
    data = list(recipe.splits.labels)
    for names in _named_labels(recipe.net):
        if _folded(names) != _folded(data) and sorted(_folded(names)) == sorted(_folded(data)):
            yield Finding(
                "error",
                "data.labels",
                f"the model's outputs are {', '.join(names)}, and the data's labels are {', '.join(data)}.",
                f"Set data.labels=[{','.join(names)}].",
            )
            return


def _named_labels(net: nn.Module) -> Iterator[list[str]]:
    for module in net.modules():
        config: Any = getattr(module, "config", None)
        names = getattr(config, "id2label", None) or getattr(module, "id2label", None)
        if isinstance(names, Mapping) and names:
            yield [str(names[key]) for key in sorted(names, key=int)]


def _folded(names: list[str]) -> list[str]:
    return [name.casefold() for name in names]
