"""Replies of the Open Inference Protocol, version 2: outputs as JSON, as binary data, or as their first classes.

Source: https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_classification.md
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from maas.errors import InputError, shortened_value
from maas.records.signature import TensorSpec
from maas.runtime.postprocessors.classification import ClassificationPostprocessor
from maas.serving.call import OUTPUT_VALUES_AT_ONCE
from maas.serving.protocols.binary_tensors import binary_data
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.open_inference.json_tensors import json_parts
from maas.serving.protocols.open_inference.messages import InferRequest, RequestedOutput
from maas.serving.protocols.operations import Rendered
from maas.serving.protocols.tensors import require_outputs
from maas.serving.repository import PredictingDeployment

OCTETS = b"application/octet-stream"
JSON_LENGTH = b"inference-header-content-length"


class OutputTensor(msgspec.Struct):
    """A tensor as the protocol writes it, its data flat, or binary after the JSON."""

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, int] | msgspec.UnsetType = msgspec.UNSET
    data: list[object] | msgspec.UnsetType = msgspec.UNSET


class InferReply(msgspec.Struct):
    """The body of an inference reply."""

    model_name: str
    model_version: str
    id: str | msgspec.UnsetType
    outputs: list[OutputTensor]


class WantedOutput(NamedTuple):
    """An output as a client wants it.

    Args:
        name: name of the output.
        datatype: in which it is sent; its first classes are texts.
        is_binary: whether its data follows the JSON.
        classes: number of its largest values that are wanted, with their labels; 0 for all values as they are.
    """

    name: str
    datatype: str
    is_binary: bool = False
    classes: int = 0


def wanted_outputs(body: InferRequest, known: Sequence[TensorSpec]) -> list[WantedOutput]:
    """Returns the outputs that a request wants, all of the model's where it names none.

    Args:
        body: of the request.
        known: outputs of the model.

    Raises:
        InputError: the model has no such output, or it cannot be had in that form.
    """
    are_binary = (body.parameters or {}).get("binary_data_output") is True
    if not body.outputs:
        return [WantedOutput(spec.name, spec.datatype, are_binary) for spec in known]
    specs = {spec.name: spec for spec in known}
    require_outputs([output.name for output in body.outputs], specs)
    return [_wanted(output, specs[output.name], are_binary=are_binary) for output in body.outputs]


def _wanted(output: RequestedOutput, spec: TensorSpec, *, are_binary: bool) -> WantedOutput:
    parameters = output.parameters or {}
    classes = parameters.get("classification", 0)
    if type(classes) is not int or classes < 0:
        raise InputError(
            f"The parameter classification is {shortened_value(repr(classes), '')}; it is a number of classes."
        )
    if classes and spec.datatype == "BYTES":
        raise InputError(f"Output {spec.name!r} has no numbers to find the largest of; leave classification out.")
    datatype = "BYTES" if classes else spec.datatype
    return WantedOutput(spec.name, datatype, parameters.get("binary_data", are_binary) is True, classes)


def reply_of(
    identity: str | None,
    wanted: Sequence[WantedOutput],
    deployment: PredictingDeployment,
    arrays: Mapping[str, NDArray[np.generic]],
) -> Rendered:
    """Returns the reply to a request.

    Args:
        identity: what the client calls its request; null where it has no name.
        wanted: outputs, each as a client wants it.
        deployment: the one that ran.
        arrays: its outputs, (N, …) each.
    """
    reply = InferReply(deployment.name, deployment.version, msgspec.UNSET if identity is None else identity, [])
    json_arrays: list[NDArray[np.generic]] = []
    binary: list[bytes] = []
    for one in wanted:
        array = as_wanted(one, deployment, arrays)
        output = OutputTensor(one.name, one.datatype, list(array.shape))
        reply.outputs.append(output)
        if one.is_binary:
            binary.append(binary_data(array, one.datatype))
            output.parameters = {"binary_data_size": len(binary[-1])}
        else:
            json_arrays.append(array)
    if not binary and sum(array.size for array in json_arrays) > OUTPUT_VALUES_AT_ONCE:
        return Rendered(_in_parts(reply, json_arrays))
    head = _whole(reply, json_arrays)
    if not binary:
        return Rendered(iter((head,)))
    return Rendered(iter((head, *binary)), OCTETS, ((JSON_LENGTH, b"%d" % len(head)),))


def binary_reply(
    wanted: Sequence[WantedOutput], deployment: PredictingDeployment, arrays: Mapping[str, NDArray[np.generic]]
) -> Rendered:
    """Returns a reply all of whose data follows the JSON, which is the same for all replies of equal sizes.

    Args:
        wanted: outputs, each as binary data.
        deployment: the one that ran.
        arrays: its outputs, (N, …) each.
    """
    outputs, parts = [], [b""]
    for one in wanted:
        name, datatype, _, classes = one
        array = as_wanted(one, deployment, arrays) if classes else arrays[name]
        data = binary_data(array, datatype)
        parts.append(data)
        outputs.append((name, datatype, array.shape, len(data)))
    parts[0], metadata = binary_head(deployment.name, deployment.version, tuple(outputs))
    return Rendered(iter(parts), OCTETS, metadata)


@lru_cache(maxsize=1024)
def binary_head(
    model: str, version: str, outputs: tuple[tuple[str, str, tuple[int, ...], int], ...]
) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
    """Returns the JSON of a reply and its metadata from each output's name, datatype, shape and bytes."""
    tensors = [
        OutputTensor(name, datatype, list(shape), {"binary_data_size": size}) for name, datatype, shape, size in outputs
    ]
    head = encode(InferReply(model, version, msgspec.UNSET, tensors))
    return head, ((JSON_LENGTH, b"%d" % len(head)),)


def as_wanted(
    wanted: WantedOutput, deployment: PredictingDeployment, arrays: Mapping[str, NDArray[np.generic]]
) -> NDArray[np.generic]:
    """Returns an output: its values as they are, or its first classes.

    Args:
        wanted: name of the output, and how it is wanted.
        deployment: the one that ran.
        arrays: its outputs, (N, …) each.
    """
    array = arrays[wanted.name]
    return classified(array, wanted.classes, _labels(deployment, wanted.name)) if wanted.classes else array


def classified(array: NDArray[np.generic], classes: int, labels: Sequence[str]) -> NDArray[np.generic]:
    """Returns the largest values of each row as texts `value:position` or `value:position:label`, (N, K).

    Args:
        array: numbers, (N, …).
        classes: number of values of a row that are wanted; fewer where a row has fewer.
        labels: what positions in a row are called; none where they have no names.
    """
    rows = array.reshape(len(array), -1)
    order = np.argsort(np.negative(rows), axis=1, kind="stable")[:, :classes]
    found = [
        [
            f"{value}:{position}" + (f":{labels[position]}" if labels else "")
            for value, position in zip(*pair, strict=True)
        ]
        for pair in zip(np.take_along_axis(rows, order, axis=1).astype(str).tolist(), order.tolist(), strict=True)
    ]
    return np.array(found, dtype=object).reshape(order.shape)


def _labels(deployment: PredictingDeployment, name: str) -> Sequence[str]:
    """Returns what the positions of an output's rows are called."""
    postprocessor = deployment.postprocessor
    if isinstance(postprocessor, ClassificationPostprocessor) and name == postprocessor.output:
        return postprocessor.labels
    return ()


def _whole(reply: InferReply, arrays: Sequence[NDArray[np.generic]]) -> bytes:
    """Returns a reply as JSON; arrays are the data of the outputs that are not binary, in order."""
    remaining = iter(arrays)
    for output in reply.outputs:
        if output.parameters is msgspec.UNSET:
            output.data = next(remaining).ravel().tolist()
    return encode(reply)


def _in_parts(reply: InferReply, arrays: Sequence[NDArray[np.generic]]) -> Iterator[bytes]:
    """Yields a reply with much data as JSON, a part at a time."""
    outputs, reply.outputs = reply.outputs, []
    yield encode(reply)[: -len(b"]}")]
    for number, (output, array) in enumerate(zip(outputs, arrays, strict=True)):
        yield (b"," if number else b"") + encode(output)[: -len(b"}")] + b',"data":'
        yield from json_parts(array)
        yield b"}"
    yield b"]}"
