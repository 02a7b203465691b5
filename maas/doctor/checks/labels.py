"""Labels: their order, their numbers, their weights."""

from collections.abc import Iterator, Mapping

import numpy as np
from torch import nn

from maas.doctor.finding import Finding
from maas.doctor.recipe_under_check import RecipeUnderCheck


def check_label_order(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Reading a pretrained head by another list of labels: the first steps unlearn it, and without training it lies.

    Source:
        `id2label` and `label2id` in the configuration of Hugging Face models, which silently stay those of the hub.
    """
    if not recipe.is_trained_here or not recipe.labels:
        return
    data = list(recipe.labels)
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
        config: object = getattr(module, "config", None)
        names = getattr(config, "id2label", None) or getattr(module, "id2label", None)
        if isinstance(names, Mapping) and names:
            yield [str(names[key]) for key in sorted(names, key=int)]


def _folded(names: list[str]) -> list[str]:
    return [name.casefold() for name in names]


FEWEST_ROWS_OF_LABEL = 5
"""Of a label in training: fewer are learnt by heart, if at all."""


def check_rare_labels(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Having a label that cannot be learnt, or cannot be evaluated.

    Source:
        Japkowicz and Stephen, The class imbalance problem, 2002: absolute rarity hurts more than imbalance.
    """
    labels = recipe.labels
    for name in recipe.by_name if labels else ():
        counts = np.bincount(recipe.targets(name).astype(np.int64), minlength=len(labels))
        absent = [label for label, count in zip(labels, counts, strict=True) if not count]
        rare = [label for label, count in zip(labels, counts, strict=True) if 0 < count < FEWEST_ROWS_OF_LABEL]
        where = f"data, the {name} split"
        if absent and name == "train":
            remedy = "Give rows of it, or leave it out of data.labels."
            yield Finding("warning", where, f"no row is {_listed(absent)}, which thus cannot be learnt.", remedy)
        elif absent:
            remedy = f"Raise data.{name}_fraction, add rows, or join rare labels."
            yield Finding("warning", where, f"no row is {_listed(absent)}, so nothing shows how well it does.", remedy)
        if rare and name == "train":
            remedy = "Add rows, join rare labels, or leave them out by +data.min_label_rows."
            yield Finding("warning", where, f"fewer than {FEWEST_ROWS_OF_LABEL} rows are {_listed(rare)}.", remedy)


def _listed(labels: list[str]) -> str:
    more = f" and {len(labels) - 5} more labels" if len(labels) > 5 else ""
    return f"{', '.join(labels[:5])}{more}"


def check_balanced_weights(recipe: RecipeUnderCheck) -> Iterator[Finding]:
    """Dividing by the rows of a label that has none: its weight, n / (K·0), is no number.

    Source:
        scikit-learn's `compute_class_weight`, which refuses such labels, too.
    """
    if recipe.is_trained_here and not recipe.is_custom_module and recipe.is_unbalanced:
        absent = recipe.absent_labels
        more = f" and {len(absent) - 5} more labels" if len(absent) > 5 else ""
        yield Finding(
            "error",
            "objective.loss",
            f"its weights are to be balanced, and no training row is {', '.join(absent[:5])}{more}.",
            "Add rows of it, leave it out of data.labels, or write the weights as numbers.",
        )
