"""Layers that stay as they are while the others are trained, by patterns of their parameters' names."""

import logging
from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn

from maas.errors import ConfigError
from maas.suggesting import nearest_name

log = logging.getLogger("maas")


def freeze_(net: nn.Module, patterns: Sequence[str]) -> None:
    """Keeps parameters from being trained, in place.

    Layers all of whose parameters are frozen are put into evaluation mode as well: batch norm keeps its averages, and
    dropout inside them drops nothing.

    Args:
        net: in training mode.
        patterns: of names of parameters (`*.embeddings.*`), or of layers, whose parameters all match (`net.layer1`);
            none leaves the net as it is.

    Raises:
        ConfigError: a pattern matches nothing, or nothing is left to train.
    """
    parameters = dict(net.named_parameters())
    for pattern in patterns:
        matched = [name for name in parameters if _is_matched(name, pattern)]
        if not matched:
            raise ConfigError(f"freeze has {pattern!r}, which no parameter of the net matches. {_hint(net, pattern)}")
        for name in matched:
            parameters[name].requires_grad_(False)
    if not patterns:
        return
    if not any(one.requires_grad for one in parameters.values()):
        raise ConfigError(
            f"freeze leaves nothing to train: {', '.join(patterns)} match all {len(parameters)} parameters. Leave the "
            "last layer out, or set trainer=null to take the model as it comes."
        )
    for module in net.modules():
        own = list(module.parameters())
        if own and not any(one.requires_grad for one in own):
            module.eval()


def report_frozen(net: nn.Module) -> None:
    """Logs how many numbers of a net are trained, where not all are."""
    total = sum(one.numel() for one in net.parameters())
    trained = sum(one.numel() for one in net.parameters() if one.requires_grad)
    if trained < total:
        log.info("train     %s of %s parameters are trained, the others are frozen", f"{trained:,}", f"{total:,}")


def _is_matched(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def _hint(net: nn.Module, pattern: str) -> str:
    """Returns a sentence that names the layer nearest to a mistyped one, or the outermost."""
    layers = [name for name, one in net.named_modules() if name and any(True for _ in one.parameters())]
    if near := nearest_name(pattern, layers):
        return f"Did you mean {near}?"
    fewest = min((name.count(".") for name in layers), default=0)
    while len(outer := [name for name in layers if name.count(".") <= fewest]) == 1 and len(layers) > 1:
        fewest += 1
    return f"Its layers are {', '.join(outer)}."
