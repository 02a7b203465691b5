"""A pruned net: what has to be recorded so that it can be built again without a pickle.

Weights have shapes. What they lack are the numbers that modules hold (`out_channels`, `heads`) and the layers that were
removed; a `PruningPlan` holds these by module.
"""

from collections.abc import Mapping, Sequence

import msgspec
import torch
from torch import Tensor, nn

from maas.errors import CheckpointError
from maas.training.merged_embedding import MergedEmbedding

Number = int | tuple[int, ...]


class PruningPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a net differs from the one that its target builds.

    Args:
        numbers: whole numbers that modules hold, by module and attribute, where they differ from the built net's.
        removed: places of removed layers in the built net's lists of layers, by list.
        clips: lower and upper bound to which a module's input is clipped, by module.
        merged: names of embeddings some of whose tokens share a vector; the weights hold which.
    """

    numbers: dict[str, dict[str, Number]] = {}
    removed: dict[str, tuple[int, ...]] = {}
    clips: dict[str, tuple[float, float]] = {}
    merged: tuple[str, ...] = ()


def plan_of(built: nn.Module, net: nn.Module, known: PruningPlan) -> PruningPlan | None:
    """Compares a pruned net with one that was just built.

    Args:
        built: net as the target builds it; the removed layers are taken out of it.
        net: the same net, pruned.
        known: what a comparison cannot find: removed layers, clips, and merged embeddings.

    Returns:
        The difference; None where there is none.
    """
    weights = net.state_dict()
    _remove_(built, known.removed)
    _merge_(built, known.merged, weights)
    before = _numbers(built)
    changed = {
        name: {key: value for key, value in now.items() if before[name].get(key) != value}
        for name, now in _numbers(net).items()
    }
    differ = {name: shape.shape for name, shape in built.state_dict().items()} != {
        name: tensor.shape for name, tensor in weights.items()
    }
    plan = msgspec.structs.replace(known, numbers={name: values for name, values in changed.items() if values})
    return plan if differ or plan != PruningPlan() else None


def shape_(net: nn.Module, plan: PruningPlan, weights: Mapping[str, Tensor]) -> None:
    """Gives a net that was just built the shape of a pruned one; its weights are to be loaded after that.

    Args:
        net: net as its target builds it.
        plan: what was pruned.
        weights: weights of the pruned net, by name; their shapes are taken.

    Raises:
        CheckpointError: the plan names what the net does not have.
    """
    _remove_(net, plan.removed)
    _merge_(net, plan.merged, weights)
    modules, known = dict(net.named_modules()), _numbers(net)
    for name, values in plan.numbers.items():
        for key, value in values.items():
            if key not in known.get(name, {}):
                raise CheckpointError(f"The plan sets {key} of {name or 'the net'}, which has no such number.")
            setattr(modules[name], key, value)
    for name, span in plan.clips.items():
        if name not in modules:
            raise CheckpointError(f"The plan clips the input of {name}, which the net does not have.")
        clip_input_(modules[name], *span)
    _reshape_(net, weights)


def clip_input_(module: nn.Module, low: float, high: float) -> None:
    """Clips a module's input from now on: in training, and in the graph that is exported."""
    module.register_forward_pre_hook(lambda _, inputs: (inputs[0].clamp(low, high), *inputs[1:]))


def crop_(built: nn.Module, plan: PruningPlan, weights: Mapping[str, Tensor]) -> nn.Module:
    """Gives a net that was just built the shape of a pruned one, with its own weights, drawn at random as they were.

    Clips are no part of the shape: they belong to the other one's weights.

    Of each tensor the first values are kept. Matrices that lose inputs are scaled by the square root of the ratio of
    their numbers, as the usual rules draw larger weights where a layer has fewer inputs.

    Args:
        built: net as its target builds it.
        plan: how the other net was pruned.
        weights: weights of the pruned net, by name; their shapes are taken.

    Returns:
        `built`.
    """
    _remove_(built, plan.removed)
    _merge_(built, plan.merged, weights)
    drawn = built.state_dict()
    shape_(built, PruningPlan(plan.numbers), weights)
    kept = {name: tensor[tuple(map(slice, weights[name].shape))] for name, tensor in drawn.items()}
    for name, module in built.named_modules():
        weight = f"{name}.weight"
        if isinstance(module, nn.Linear | nn.modules.conv._ConvNd) and kept[weight].shape != drawn[weight].shape:  # noqa: SLF001
            kept[weight] = kept[weight] * (drawn[weight][0].numel() / kept[weight][0].numel()) ** 0.5
    built.load_state_dict(kept)
    return built


def cast_(net: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Gives each parameter and buffer the type that its weights were saved in; what was shared stays shared.

    A net that is built in bfloat16 leaves training in float32; it would round its weights again otherwise.
    """
    for name, tensor in [*net.named_parameters(), *net.named_buffers()]:
        if name in weights and tensor.dtype is not weights[name].dtype:
            tensor.data = tensor.data.to(weights[name].dtype)


def _reshape_(net: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Replaces each parameter and buffer that has another shape; what was shared stays shared."""
    made: dict[int, Tensor] = {}
    for name, old in [*net.named_parameters(remove_duplicate=False), *net.named_buffers(remove_duplicate=False)]:
        if name not in weights or weights[name].shape == old.shape:
            continue
        if id(old) not in made:
            empty = torch.empty_like(weights[name], dtype=old.dtype)
            made[id(old)] = nn.Parameter(empty, old.requires_grad) if isinstance(old, nn.Parameter) else empty
        owner, _, leaf = name.rpartition(".")
        setattr(net.get_submodule(owner), leaf, made[id(old)])


def _remove_(net: nn.Module, removed: Mapping[str, tuple[int, ...]]) -> None:
    for name, places in removed.items():
        layers = net.get_submodule(name)
        if not isinstance(layers, nn.ModuleList | nn.Sequential) or max(places) >= len(layers):
            raise CheckpointError(f"The plan removes {places} of {name}, which is no list of so many layers.")
        for place in sorted(places, reverse=True):
            del layers[place]


def _merge_(net: nn.Module, merged: Sequence[str], weights: Mapping[str, Tensor]) -> None:
    for name in merged:
        embedding = net.get_submodule(name)
        if not isinstance(embedding, nn.Embedding):
            raise CheckpointError(f"The plan merges tokens of {name}, which is no embedding.")
        owner, _, leaf = name.rpartition(".")
        setattr(net.get_submodule(owner), leaf, MergedEmbedding.of(embedding, weights[f"{name}.rows"]))


def _numbers(net: nn.Module) -> dict[str, dict[str, Number]]:
    """Returns the whole numbers that modules hold."""
    return {
        name: {key: value for key, value in vars(module).items() if not key.startswith("_") and _is_number(value)}
        for name, module in net.named_modules()
    }


def _is_number(value: object) -> bool:
    if isinstance(value, tuple):
        return bool(value) and all(map(_is_number, value))
    return isinstance(value, int) and not isinstance(value, bool)
