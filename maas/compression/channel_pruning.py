"""Removing channels from a net, all that depend on each other at once, by torch-pruning's dependency graph."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal

import torch
from torch import Tensor, nn

from maas.compression.training_rows import hooked
from maas.errors import BudgetError, ExportError

try:
    import torch_pruning
except ImportError as error:  # an extra of its own
    torch_pruning, MISSING = None, [error]
else:
    MISSING = []

Importance = Literal["magnitude", "taylor", "batch_norm", "random"]
PruningScope = Literal["global", "layer"]
WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d)
PROJECTIONS = {"query", "key", "value", "q_proj", "k_proj", "v_proj", "qkv", "in_proj", "queries_keys_values"}
"""Names of the layers whose outputs attention splits into heads, which would not notice that some are gone."""
NetInputs = Mapping[str, Tensor]


def prune_(
    net: nn.Module,
    model_inputs: NetInputs,
    *,
    ratio: float,
    importance: Importance = "magnitude",
    scope: PruningScope = "global",
    max_fraction: float = 0.9,
    round_to: int | None = None,
    keep: Sequence[str] = (),
) -> None:
    """Removes the channels that matter least, in place. The layer that makes the outputs keeps all of its own.

    Args:
        net: in evaluation mode; for `taylor` its parameters carry gradients.
        model_inputs: the net's inputs for two rows or more, by name.
        ratio: fraction of the channels to remove.
        importance: estimate of a channel's importance.
        scope: whether channels are ranked with all others, or with those of their own layer.
        max_fraction: largest fraction of its channels that a layer may lose.
        round_to: divisor of the number of channels that is left; None for any number.
        keep: patterns of names of modules that are left as they are.

    Raises:
        BudgetError: torch-pruning is not installed, or a pattern matches nothing.
        ExportError: the net cannot be pruned.
    """
    require_installed()
    kept = [*_named(net, keep), *_projections(net), last_weighted(net, model_inputs), *_free_parameters(net)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of parameters that are in no module of a known kind; they are left alone
        try:
            channel_pruner = torch_pruning.pruner.BasePruner(
                net,
                dict(model_inputs),
                importance=_estimator(importance),
                global_pruning=scope == "global",
                pruning_ratio=ratio,
                max_pruning_ratio=max_fraction,
                round_to=round_to,
                ignored_layers=kept,
                in_channel_groups={},  # its defaults are shared by all pruners of a process
                out_channel_groups={},
                num_heads={},
            )
            channel_pruner.step()
            with torch.no_grad():
                net(**model_inputs)
        except Exception as error:  # tracing raises whatever the net's own code meets; torch-pruning has no base
            raise ExportError(f"{type(net).__name__} cannot be pruned: {error}") from error
    net.zero_grad(set_to_none=True)


def require_installed() -> None:
    """Raises BudgetError where torch-pruning is not installed."""
    if torch_pruning is None:
        raise BudgetError("Pruning needs torch-pruning. Install maas[compress].") from MISSING[0]


def last_weighted(net: nn.Module, model_inputs: NetInputs) -> nn.Module:
    """Returns the layer with weights that is run last: the one that makes the outputs."""
    seen: list[nn.Module] = []

    def keep(module: nn.Module, *_: object) -> None:
        seen.append(module)

    layers = [module for module in net.modules() if isinstance(module, WEIGHTED)]
    with hooked(layer.register_forward_hook(keep) for layer in layers), torch.no_grad():
        net(**model_inputs)
    if not seen:
        raise ExportError(f"{type(net).__name__} has no linear layer and no convolution; there is nothing to prune.")
    return seen[-1]


def _estimator(importance: Importance) -> Callable[..., Any]:
    estimators = torch_pruning.importance
    found: dict[Importance, Callable[[], Callable[..., Any]]] = {
        "magnitude": estimators.GroupMagnitudeImportance,
        "taylor": estimators.GroupTaylorImportance,
        "batch_norm": estimators.BNScaleImportance,
        "random": estimators.RandomImportance,
    }
    return found[importance]()


def _named(net: nn.Module, patterns: Sequence[str]) -> list[nn.Module]:
    found = []
    for pattern in patterns:
        matching = [module for name, module in net.named_modules() if fnmatchcase(name, pattern)]
        if not matching:
            some = [name for name, _ in net.named_modules() if name][:8]
            raise BudgetError(
                f"keep has the pattern {pattern!r}, which no module matches; there are {', '.join(some)}, …"
            )
        found += matching
    return found


def _projections(net: nn.Module) -> list[nn.Module]:
    return [module for name, module in net.named_modules() if name.rpartition(".")[2] in PROJECTIONS]


def _free_parameters(net: nn.Module) -> list[nn.Parameter]:
    """Returns the parameters of modules that the dependency graph knows nothing of."""
    known = (*WEIGHTED, nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm, nn.Embedding, nn.EmbeddingBag)
    return [
        one for module in net.modules() if not isinstance(module, known) for one in module.parameters(recurse=False)
    ]
