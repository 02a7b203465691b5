"""Arrays as binary tensors of the Open Inference Protocol: without JSON between their bytes and the server's.

It is a shorter way to the same predictions. Where a model, a server or an array is not made for it, or a tensor is
refused, the rows go as JSON.
Source: https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import quote

import msgspec
import numpy as np
from numpy.typing import NDArray

from maas.client.exchanges import Incoming, Outgoing, Steps, exchange
from maas.errors import ServerError

BINARY = "binary_tensor_data"
PREDICTED = (("label", "score"), ("value",), ("embedding",))
"""Outputs that are a prediction's keys, of the heads that have such."""
SCORED = ("probabilities", "value", "embedding")
"""Outputs that are a model's scores."""
HEAD_BYTES = "inference-header-content-length"
TEXT_LENGTH = struct.Struct("<I")
_TYPES: dict[str, np.dtype[Any]] = {"FP32": np.dtype("<f4"), "FP64": np.dtype("<f8"), "UINT8": np.dtype("u1")}


class TensorRecord(msgspec.Struct, frozen=True):
    """A tensor as a model's metadata or a reply describe it.

    Args:
        name: of the tensor.
        datatype: as the protocol calls it.
        shape: with −1 where any size will do.
        parameters: its number of bytes, in a reply.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    parameters: Mapping[str, Any] = {}


class TensorForm(msgspec.Struct, frozen=True):
    """The tensors of a model.

    Args:
        inputs: that it takes.
        outputs: that it gives.
    """

    inputs: tuple[TensorRecord, ...] = ()
    outputs: tuple[TensorRecord, ...] = ()

    def taken(self, array: NDArray[Any]) -> NDArray[Any] | None:
        """Returns an array as the model takes it; null where the values would be others than `bundle.predict` reads.

        Args:
            array: rows, (N, …).
        """
        if len(self.inputs) != 1:
            return None
        (one,) = self.inputs
        kind = _TYPES.get(one.datatype)
        fits = len(one.shape) == array.ndim and all(
            size in (-1, own) for size, own in zip(one.shape[1:], array.shape[1:], strict=True)
        )
        if kind is None or not fits or array.dtype.kind != kind.kind:
            return None
        with np.errstate(over="ignore"):  # what becomes infinite is refused by the server
            return array.astype(kind, copy=False)

    def predicted(self) -> tuple[str, ...]:
        """Returns the outputs that make predictions; none where they are not known."""
        names = {one.name for one in self.outputs}
        return next((keys for keys in PREDICTED if names.issuperset(keys)), ())

    def scored(self) -> tuple[str, ...]:
        """Returns the output that is the scores; none where it is not known."""
        names = {one.name for one in self.outputs}
        return next(((name,) for name in SCORED if name in names), ())


Tensors: TypeAlias = dict[str, list[Any] | NDArray[Any]]
"""By name: numbers as arrays, texts as lists."""
_FORM, _EXTENSIONS = msgspec.json.Decoder(TensorForm), msgspec.json.Decoder(dict[str, Any])


def stacked_array(inputs: object) -> NDArray[Any] | None:
    """Returns rows as one array, (N, …), where all of them are arrays of numbers of one shape and type; else null."""
    if isinstance(inputs, list | tuple) and inputs and all(isinstance(row, np.ndarray) for row in inputs):
        if len({(row.shape, row.dtype) for row in inputs}) > 1:
            return None
        inputs = np.stack(inputs)
    if isinstance(inputs, np.ndarray) and inputs.ndim > 1 and inputs.dtype.kind in "fu" and inputs.size:
        return inputs
    return None


def form_steps(model: str, version: str | int | None, deadline_s: float, retries: int) -> Steps[TensorForm]:
    """Gives the tensors of a model; none where the server takes no binary ones, or has no such model.

    Raises:
        MaasError: the server is busy, too slow or away.
    """
    server = yield from exchange(Outgoing(method="GET", path="/v2", deadline_s=deadline_s), retries)
    if server.status != 200 or BINARY not in _EXTENSIONS.decode(server.body).get("extensions", ()):
        return TensorForm()
    request = Outgoing(method="GET", path=_path(model, version), deadline_s=deadline_s)
    found = yield from exchange(request, retries)
    return _FORM.decode(found.body) if found.status == 200 else TensorForm()


def tensor_request(
    array: NDArray[Any],
    form: TensorForm,
    wanted: Sequence[str],
    model: str,
    version: str | int | None,
    deadline_s: float,
) -> Outgoing:
    """Returns a request for outputs of some rows.

    Args:
        array: rows as the model takes them, (N, …).
        form: of the model.
        wanted: names of outputs.
        model: name of the model.
        version: of it; null for the default.
        deadline_s: of the request.
    """
    one = form.inputs[0]
    parameters = {"binary_data_size": array.nbytes}
    tensor = {"name": one.name, "datatype": one.datatype, "shape": array.shape, "parameters": parameters}
    outputs = [{"name": name, "parameters": {"binary_data": True}} for name in wanted]
    head = msgspec.json.encode({"inputs": [tensor], "outputs": outputs})
    return Outgoing(
        path=f"{_path(model, version)}/infer",
        body=head + array.tobytes(),
        media_type="application/octet-stream",
        headers={HEAD_BYTES: str(len(head))},
        deadline_s=deadline_s,
    )


def tensors_in(reply: Incoming) -> Tensors:
    """Returns the outputs of a reply by name: numbers as arrays, texts as lists.

    Raises:
        ServerError: it is no such reply.
    """
    try:
        length = int(reply.headers[HEAD_BYTES])
        form = _FORM.decode(reply.body[:length])
        found: Tensors = {}
        for one in form.outputs:
            size = one.parameters["binary_data_size"]
            found[one.name] = _values(reply.body[length : length + size], one)
            length += size
    except (KeyError, ValueError, struct.error, msgspec.DecodeError) as error:
        raise ServerError(f"The reply is none of a server of maas: {error!r}. Check the URL.") from None
    return found


def _values(content: bytes, one: TensorRecord) -> list[Any] | NDArray[Any]:
    if one.datatype == "BYTES":
        return list(_texts(content))
    array: NDArray[Any] = np.frombuffer(content, _TYPES[one.datatype]).reshape(one.shape)
    return array


def _texts(content: bytes) -> Iterator[str]:
    place = 0
    while place < len(content):
        start = place + TEXT_LENGTH.size
        place = start + TEXT_LENGTH.unpack_from(content, place)[0]
        yield content[start:place].decode()


def _path(model: str, version: str | int | None) -> str:
    path = f"/v2/models/{quote(model, safe='')}"
    return path if version is None else f"{path}/versions/{quote(str(version), safe='')}"
