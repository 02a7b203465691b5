"""What a checkpoint's file holds of a net: each parameter and persistent buffer once, whatever names it has.

Layers may share a weight, as a decoder's embedding and its logits often do. Which names stand for one tensor is read
from the net and recorded, so that the net which takes the weights need not share them yet.
"""

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from maas.errors import CheckpointError


def save_weights(net: nn.Module, path: Path) -> dict[str, str]:
    """Writes a net's weights.

    Args:
        net: whose parameters and persistent buffers are kept.
        path: of the file.

    Returns:
        The further names of weights that have several, each with the one under which the file holds them.

    Raises:
        CheckpointError: the net keeps other things beside tensors.
    """
    state = net.state_dict(keep_vars=True)  # the parameters themselves, so that shared ones are the same object
    names: dict[int, str] = {}
    tied: dict[str, str] = {}
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise CheckpointError(
                f"{type(net).__name__} keeps a {type(value).__name__} in {name}; a checkpoint holds tensors alone. "
                "Keep it in buffers instead of get_extra_state()."
            )
        held = names.setdefault(id(value), name)
        if held != name:
            tied[name] = held
    save_file({name: state[name].detach().cpu().contiguous().clone() for name in names.values()}, path)
    return tied


def load_weights(path: Path, tied: Mapping[str, str]) -> dict[str, Tensor]:
    """Returns weights by all their names; those that are one weight are one tensor.

    Args:
        path: of a file that `save_weights` wrote.
        tied: what it returned.
    """
    weights = load_file(path)
    return weights | {name: weights[held] for name, held in tied.items()}
