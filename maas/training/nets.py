"""Building a recipe's model: what the data and the processor know is filled in, what contradicts them is refused."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from maas.config import FILLED, Part, target_of
from maas.config.part import DIRECTIVES
from maas.errors import ConfigError
from maas.importing.base import ImportedModel
from maas.runtime.processors import Processor
from maas.training.checkpoint import NetRecord

Types: TypeAlias = dict[str, torch.dtype]


def resolve_net(part: Part[object], facts: Mapping[str, Any]) -> NetRecord:
    """Fills in what the data and the processor know and the recipe leaves out.

    Args:
        part: the recipe's `model`.
        facts: what the task head and the processor know, `outputs` (K) among them where there are any.

    Returns:
        The model's target and all its arguments.

    Raises:
        ConfigError: the recipe contradicts the data, or a required argument is missing.
    """
    arguments = {key: value for key, value in part.record().items() if key not in DIRECTIVES}
    parameters = target_of(part.target)[1]
    if "outputs" in arguments and arguments["outputs"] != facts.get("outputs", arguments["outputs"]):
        raise ConfigError(
            f"model.outputs is {arguments['outputs']}; the task and the data want {facts['outputs']}. Leave "
            "model.outputs out."
        )
    filled = {key: value for key, value in facts.items() if key in parameters and key in FILLED}
    arguments = {**filled, **arguments}
    missing = [
        key
        for key in sorted(FILLED)
        if key in parameters and key not in arguments and parameters[key].default is parameters[key].empty
    ]
    if missing:
        raise ConfigError(f"model.{missing[0]} is missing and the processor does not know it. Set model.{missing[0]}=…")
    return NetRecord(part.target, arguments)


def built(record: NetRecord, processor: Processor) -> nn.Module | ImportedModel:
    """Builds a net or opens an imported model.

    Raises:
        ConfigError: it refused its arguments, is no model, or does not take what the processor gives.
    """
    model: object = record.part("model").build()
    if isinstance(model, ImportedModel):
        return model
    if not isinstance(model, nn.Module):
        raise ConfigError(
            f"model is a {type(model).__name__}, which {record.target} gives; it must be an nn.Module. Wrap it in one, "
            "or name one of maas.importing, e.g. model=estimator for a model of scikit-learn."
        )
    _require_model_inputs(model, processor)
    return model


def finished(net: nn.Module, record: NetRecord, types: Types) -> tuple[nn.Module, NetRecord]:
    """Returns a net as it leaves training, and how to build it again without what it was made from.

    A net may have `finished()`, which returns a net of plain weights in its place, and `rebuild()`, which returns the
    part that builds it again, where its own constructor would look for pretrained weights.

    Args:
        net: trained, or as it comes.
        record: how it was built.
        types: of its parameters and buffers when it was built.
    """
    finish: Callable[[], nn.Module] | None = getattr(net, "finished", None)
    net = finish() if finish else net
    rebuild: Callable[[], dict[str, Any]] | None = getattr(net, "rebuild", None)
    if rebuild:
        part = dict(rebuild())
        record = NetRecord(part.pop("_target_"), part)
    return settled(net, types), record


def types_of(net: nn.Module) -> Types:
    """Returns the types of a net's parameters and buffers, by name."""
    return {name: tensor.dtype for name, tensor in _tensors(net)}


def settled(net: nn.Module, types: Types) -> nn.Module:
    """Returns a net in evaluation mode on the CPU, in float32, whatever precision it was trained in.

    Args:
        net: is changed.
        types: of its parameters and buffers when it was built; those that were float64, for the net's own use, are so
            again, as float32 would round large constants.
    """
    kept = {name: tensor.detach().clone() for name, tensor in _tensors(net) if types.get(name) is torch.float64}
    net = net.cpu().float().eval()
    for name, tensor in _tensors(net):
        if name in kept:
            tensor.data = kept[name].to("cpu", torch.float64)
    return net


def _tensors(net: nn.Module) -> list[tuple[str, Tensor]]:
    return [*net.named_parameters(), *net.named_buffers()]


def _require_model_inputs(net: nn.Module, processor: Processor) -> None:
    """Raises ConfigError where the net's `forward` does not take what the processor gives, by name."""
    parameters = inspect.signature(net.forward).parameters
    missing = [name for name in processor.dynamic_axes if name not in parameters]
    if missing and not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        raise ConfigError(
            f"{type(net).__name__}.forward takes {', '.join(parameters) or 'nothing'}; the {processor.kind} processor "
            f"gives {', '.join(processor.dynamic_axes)}. Name its argument {missing[0]}."
        )
