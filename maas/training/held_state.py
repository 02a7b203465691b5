"""What a net's modules hold beside parameters and persistent buffers: numbers, plain tensors, lists of layers.

A checkpoint holds none of it. Two nets of one structure and the same weights are compared, module by module.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

PLAIN_VALUE_TYPES = (bool, int, float, complex, str, bytes, Set, np.generic, type(None))
VALUE_TYPES = (*PLAIN_VALUE_TYPES, Tensor, np.ndarray, Mapping, Sequence, nn.Module)
NO_ATTRIBUTE = object()
"""In the place of an attribute that a module does not have."""
LONGEST = 20
"""Characters of a value that is shown."""
DEPTH = 4
"""How deep lists, mappings and plain objects are looked into."""
_OF_ANY_MODULE = frozenset(vars(nn.Module()))


@dataclass(frozen=True)
class Held:
    """An attribute or a buffer that one net holds otherwise than the other.

    Args:
        module: its name in the net; empty for the net itself.
        key: its name in the module.
        here: its value in the first net.
        there: in the second one; `NO_ATTRIBUTE` where it has none.
        is_buffer: whether it is registered as a buffer, with `persistent=False`.
    """

    module: str
    key: str
    here: object
    there: object
    is_buffer: bool

    @property
    def name(self) -> str:
        """The attribute's name in the net."""
        return f"{self.module}.{self.key}" if self.module else self.key

    def __str__(self) -> str:
        """Names it, with both values where they are short enough to be shown."""
        here, there = (_shown(value) for value in (self.here, self.there))
        return f"{self.name} ({here} in memory, {there} when it is built again)" if here and there else self.name

    @property
    def remedy(self) -> str:
        """What to write in the module instead."""
        if self.is_buffer:
            return f'register {self.name} with persistent=True: self.register_buffer("{self.key}", …)'
        if _holds_modules(self.here):
            return f"keep the layers of {self.name} in an nn.ModuleList or an nn.ModuleDict"
        return f'keep {self.name} in a buffer: self.register_buffer("{self.key}", torch.tensor(…))'

    def put_(self, net: nn.Module, value: object) -> None:
        """Sets it in a net; `NO_ATTRIBUTE` removes it."""
        module = net.get_submodule(self.module)
        place = module._buffers if self.is_buffer else vars(module)  # noqa: SLF001 - setattr would register a tensor
        if value is NO_ATTRIBUTE:
            place.pop(self.key, None)
        else:
            place[self.key] = value  # type: ignore[assignment]  # a buffer's value is a tensor


def differences(here: nn.Module, there: nn.Module) -> Iterator[Held]:
    """Yields what the modules of a net hold otherwise than those of another net of the same structure.

    Args:
        here: a net.
        there: the same net, built again, with the same weights.
    """
    others = dict(there.named_modules())
    for name, module in here.named_modules():
        if name not in others:
            continue
        mine, others_own = _held(module), _held(others[name])
        for key, value in mine.items():
            other = others_own.get(key, NO_ATTRIBUTE)
            if not _is_same(value, other):
                yield Held(name, key, value, other, key in module._buffers)  # noqa: SLF001


def _held(module: nn.Module) -> dict[str, object]:
    """Returns a module's own attributes, and its buffers that no state dict holds."""
    own = {key: value for key, value in vars(module).items() if key not in _OF_ANY_MODULE}
    hidden = module._non_persistent_buffers_set  # noqa: SLF001 - torch has no public name for them
    return {**own, **{key: value for key, value in module._buffers.items() if key in hidden}}  # noqa: SLF001


def _is_same(here: object, there: object, depth: int = DEPTH) -> bool:
    """Compares two values; what is no value, as a function, or lies too deep counts as the same."""
    if type(here) is not type(there):
        return not (isinstance(here, VALUE_TYPES) or isinstance(there, VALUE_TYPES))
    if isinstance(here, Tensor | np.ndarray):
        return _are_equal(torch.as_tensor(here).detach().cpu(), torch.as_tensor(there).detach().cpu())
    if isinstance(here, PLAIN_VALUE_TYPES):
        return bool(here == there or (here != here and there != there))  # noqa: PLR0124 - NaN is not itself
    mine, others = _parts(here), _parts(there)
    return not depth or (
        mine.keys() == others.keys() and all(_is_same(mine[key], others[key], depth - 1) for key in mine)
    )


def _are_equal(here: Tensor, there: Tensor) -> bool:
    if here.shape != there.shape or here.dtype != there.dtype:
        return False
    return bool(((here == there) | ((here != here) & (there != there))).all())  # noqa: PLR0124 - likewise


def _parts(value: object) -> dict[object, object]:
    """Returns what a value is made of; nothing where it is made of nothing that can be compared."""
    if isinstance(value, nn.Module):
        return dict(value.state_dict().items())
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return dict(enumerate(value))
    return dict(getattr(value, "__dict__", {}))


def _holds_modules(value: object) -> bool:
    held = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else [value]
    return any(isinstance(one, nn.Module) for one in held)


def _shown(value: object) -> str:
    """Returns a value in a few characters; nothing where it takes more."""
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if isinstance(value, bool | int | float | str):
        text = f"{value:.4g}" if isinstance(value, float) else repr(value)
        return text if len(text) <= LONGEST else ""
    return ""
