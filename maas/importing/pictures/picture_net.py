"""Nets for pictures that others wrote, such as those of torchvision and timm: they take floats in a layout."""

import inspect
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from maas.bounds import ClosedFraction, Count, ExistingPath, Positive
from maas.config.part import imported
from maas.errors import ConfigError, one_line
from maas.importing.base import library_errors
from maas.models.small_conv import NormalisedPixels

log = logging.getLogger("maas")

OUTPUTS_NAME = "num_classes"
"""What torchvision and timm call the number of outputs."""
FETCHING_LIBRARIES = ("torchvision", "timm")
ONLY_AT_FIRST = ("pretrained", "weights", "progress", "checkpoint_path")
"""Their arguments that fetch weights: a net that is built again gets those of its checkpoint."""
STATE_KEYS = ("state_dict", "model", "model_state")
"""Keys below which training scripts save the weights."""
PARALLEL_PREFIX = "module."
SIZE_REMEDY = "Set processor.height, processor.width and processor.channels, or the net's own size."


class PictureNet(nn.Module):
    """Scales pixels, turns them as a net takes them, and returns its logits.

    Args:
        outputs: K; given to the net as `num_classes` where it takes that and the recipe leaves it out.
        in_channels: C.
        height: H.
        width: W.
        net: what makes the net: an import path such as `torchvision.models.resnet18`, or a part with `_partial_: true`.
        weights: a file of weights, of safetensors or of torch's `state_dict`; null for none. Those of another shape,
            such as a head of other labels, begin as the net was made.
        mean: mean of the pixels in [0, 1]: one for all channels, or one each. The default is that of ImageNet.
        deviation: likewise.
        layout: `channels_first` for float32 (N, C, H, W), as torch has it; `channels_last` for (N, H, W, C).

    Raises:
        ConfigError: the net cannot be built again by its arguments, the file does not fit it, or it does not take
            pictures of this size.
    """

    def __init__(
        self,
        outputs: Count,
        in_channels: Count,
        height: Count,
        width: Count,
        net: object,
        *,
        weights: ExistingPath | None = None,
        mean: Sequence[ClosedFraction] = (0.485, 0.456, 0.406),
        deviation: Sequence[Positive] = (0.229, 0.224, 0.225),
        layout: Literal["channels_first", "channels_last"] = "channels_first",
    ) -> None:
        super().__init__()
        make = _with_outputs(net, outputs)
        self._part = _part_of(make)
        self._arguments: dict[str, Any] = {"outputs": outputs, "in_channels": in_channels}
        self._arguments |= {
            "height": height,
            "width": width,
            "mean": list(mean),
            "deviation": list(deviation),
            "layout": layout,
        }
        self.normalised = NormalisedPixels(in_channels, mean, deviation)
        self.layout = layout
        self.net = make()
        if not isinstance(self.net, nn.Module):
            raise ConfigError(f"model.net gives a {type(self.net).__name__}; it must be an nn.Module.")
        if weights is not None:
            _load_(self.net, Path(weights))
        require_logits_of_pictures(self, (height, width, in_channels), outputs, SIZE_REMEDY)

    def forward(self, pixels: Tensor) -> Tensor:
        """Returns logits.

        Args:
            pixels: uint8 (N, H, W, C).

        Returns:
            (N, K)
        """
        values = self.normalised(pixels)  # (N, C, H, W)
        logits: Tensor = self.net(values if self.layout == "channels_first" else values.permute(0, 2, 3, 1))
        return logits

    def rebuild(self) -> dict[str, Any]:
        """Returns the part that builds this net without the files that its weights came from."""
        return {"_target_": f"{__name__}.{type(self).__name__}", **self._arguments, "net": self._part}


def _with_outputs(net: object, outputs: int) -> "partial[nn.Module]":
    """Returns what makes a net, with the number of outputs where it takes that and has none yet.

    Raises:
        ConfigError: it cannot be imported or called, or is a net, which a checkpoint could not build again.
    """
    found = imported(net) if isinstance(net, str) else net
    if isinstance(found, nn.Module) or not callable(found):
        raise ConfigError(
            f"model.net is a {type(found).__name__}; it must be what makes the net, so that a checkpoint can build it "
            "again: model.net=torchvision.models.resnet18, or a part with _partial_: true."
        )
    whole = found if isinstance(found, partial) else partial(found)
    parameters = inspect.signature(whole.func).parameters
    takes = OUTPUTS_NAME in parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    return partial(whole, **{OUTPUTS_NAME: outputs}) if takes and OUTPUTS_NAME not in whole.keywords else whole


def _part_of(make: "partial[nn.Module]") -> dict[str, Any]:
    """Returns the part that builds a net again, without what fetches its weights.

    Raises:
        ConfigError: it has no name to be found by.
    """
    name = getattr(make.func, "__qualname__", "<")
    if "<" in name:
        raise ConfigError(
            f"model.net is {name}, which no module has, so that a checkpoint could not build it again. Name a function "
            "or class of a module: model.net=torchvision.models.resnet18."
        )
    fetching = ONLY_AT_FIRST if make.func.__module__.partition(".")[0] in FETCHING_LIBRARIES else ()
    keywords = {key: value for key, value in make.keywords.items() if key not in fetching}
    positional = {"_args_": list(make.args)} if make.args else {}
    return {"_target_": f"{make.func.__module__}.{name}", "_partial_": True, **positional, **keywords}


def _load_(net: nn.Module, path: Path) -> None:
    """Gives a net the weights of a file.

    Raises:
        ConfigError: the file cannot be read, or none of its weights is of the net.
    """
    saved, own = _saved(path), net.state_dict()
    fitting = {name: value for name, value in saved.items() if name in own and own[name].shape == value.shape}
    if not any(name in dict(net.named_parameters()) for name in fitting):
        raise ConfigError(
            f"model.weights is {path}, which holds {_first(saved)}; none is a weight of the net, which has "
            f"{_first(own)}. Choose the file of this net."
        )
    net.load_state_dict(fitting, strict=False)
    if fresh := sorted(set(own) - set(fitting)):
        log.info("model     these weights begin at random: %s", ", ".join(fresh))


def _saved(path: Path) -> Mapping[str, Tensor]:
    """Returns a file's weights by name; code inside it is not run."""
    with library_errors(f"model.weights is {path}, which cannot be read as a state_dict of torch or safetensors"):
        is_safe = path.suffix == ".safetensors"
        found: object = load_file(path) if is_safe else torch.load(path, map_location="cpu", weights_only=True)
    inner = next((found[key] for key in STATE_KEYS if key in found), found) if isinstance(found, Mapping) else found
    if not isinstance(inner, Mapping):
        raise ConfigError(
            f"model.weights is {path}, which holds a {type(inner).__name__}; it must be a state_dict: weights by name."
        )
    return {
        str(name).removeprefix(PARALLEL_PREFIX): value for name, value in inner.items() if isinstance(value, Tensor)
    }


def _first(weights: Mapping[str, Tensor]) -> str:
    names = list(weights)
    return ", ".join(names[:2]) + (", …" if len(names) > 2 else "") if names else "no weights"


def require_logits_of_pictures(net: nn.Module, size: tuple[int, int, int], outputs: int, remedy: str) -> None:
    """Lets a net see one black picture; its mode stays as it is.

    Args:
        net: uint8 (N, H, W, C) to logits (N, K).
        size: H, W and C.
        outputs: K.
        remedy: what to do where it does not take pictures of this size; a sentence.

    Raises:
        ConfigError: it does not, or gives something else than K numbers.
    """
    modes = {module: module.training for module in net.modules()}
    shown = " × ".join(map(str, size))
    try:
        with torch.no_grad():
            found: object = net.eval()(torch.zeros((1, *size), dtype=torch.uint8))
    except (ValueError, RuntimeError, AssertionError) as error:  # of shapes, by torch, transformers, torchvision, timm
        raise ConfigError(f"The net does not take pictures of {shown}: {one_line(error)}. {remedy}") from error
    finally:
        for module, mode in modes.items():
            module.training = mode
    if not isinstance(found, Tensor) or found.shape != (1, outputs):
        given = f"numbers of shape {list(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
        raise ConfigError(
            f"The net gives {given} for a picture; the data wants logits of shape [1, {outputs}]. Set its number of "
            f"outputs, e.g. num_classes: {outputs}."
        )
