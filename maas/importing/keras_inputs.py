"""Which input of a Keras net takes which of a processor's model inputs."""

from collections.abc import Mapping, Sequence

import numpy as np

from maas.errors import ConfigError
from maas.importing.keras_graph import KerasInput, KerasModel
from maas.runtime.codec import ModelInputs


def connected_inputs(net: KerasModel, model_inputs: ModelInputs, chosen: Mapping[str, str] | None) -> Mapping[str, str]:
    """Returns model input → name of the net's input; none where the one model input goes to the only input.

    Inputs of equal names belong together. Where names differ, each takes the only model input of its shape and kind.

    Args:
        net: Keras model; one that declares no inputs takes the model inputs by their names.
        model_inputs: rows.
        chosen: what the recipe says; None where it says nothing.

    Raises:
        ConfigError: what the recipe says names others, or neither names nor shapes decide which is which.
    """
    own: Sequence[KerasInput] = getattr(net, "inputs", None) or ()
    names = [one.name for one in own]
    if len(model_inputs) == 1 and len(own) <= 1:
        return {}
    if chosen is not None:
        found = dict(chosen)
    elif not own or set(names) <= set(model_inputs):
        found = {name: name for name in names or model_inputs}
    else:
        found = _by_shape(own, model_inputs)
    if (own and sorted(found.values()) != sorted(names)) or not set(found) <= set(model_inputs):
        raise ConfigError(
            f"The Keras net takes {', '.join(_shown(one.name, one.shape) for one in own)}; the processor gives "
            f"{', '.join(_shown(name, array.shape) for name, array in model_inputs.items())}. Set "
            "model.inputs={model_input: input} for each of its inputs."
        )
    return found


def _by_shape(own: Sequence[KerasInput], model_inputs: ModelInputs) -> dict[str, str]:
    """Returns the model input that each input of the net can take; what several can take is left out."""
    found: dict[str, str] = {}
    for one in own:
        fitting = [
            name
            for name, array in model_inputs.items()
            if _is_of(one.shape, array.shape) and str(one.dtype).startswith("float") == (array.dtype.kind == "f")
        ]
        if len(fitting) == 1 and fitting[0] not in found:
            found[fitting[0]] = one.name
    return found


def _is_of(declared: Sequence[int | None], shape: Sequence[int]) -> bool:
    return len(declared) == len(shape) and all(
        size in (None, given) for size, given in zip(declared[1:], shape[1:], strict=True)
    )


def _shown(name: str, shape: Sequence[int | None]) -> str:
    return f"{name} {['any' if size is None else size for size in shape[1:]]}"


def given_to_keras(model_inputs: ModelInputs, connected: Mapping[str, str]) -> object:
    """Returns what a net is called with: the only array, or arrays by the net's own names."""
    if not connected:
        return next(iter(model_inputs.values()))
    return {own: np.asarray(model_inputs[name]) for name, own in connected.items()}
