"""Content types of tensors, as MLServer's codecs name them: most only say what a client made its tensor from.

Source: https://mlserver.readthedocs.io/en/latest/user-guide/content-type.html
"""

from base64 import b64decode
from collections.abc import Callable

import msgspec

from maas.errors import InputError
from maas.serving.call import Row
from maas.serving.protocols.tensors import DeclaredTensor, TensorValues


def _text_of_base64(value: Row) -> str:
    return b64decode(str(value), validate=True).decode()


def _value_of_json(value: Row) -> Row:
    return msgspec.json.decode(str(value))


PACKED: dict[str, Callable[[Row], Row]] = {"base64": _text_of_base64, "pd_json": _value_of_json}
"""How each text of a tensor is unpacked."""
CONTENT_TYPES = ("np", "str", "pd", *PACKED)


def values_of_content_type(values: TensorValues, tensor: DeclaredTensor, content_type: object) -> TensorValues:
    """Returns what a tensor's values stand for.

    Args:
        values: of the tensor.
        tensor: as it was declared.
        content_type: one of those that are known; null for values as they are.

    Raises:
        InputError: a value is not of the content type.
    """
    unpack = PACKED.get(content_type) if isinstance(content_type, str) else None
    if unpack is None:
        return values
    if tensor.datatype != "BYTES":
        raise InputError(
            f"Input {tensor.name!r} has content_type {content_type} and datatype {tensor.datatype}; send BYTES."
        )
    try:
        return list(map(unpack, values))
    except (ValueError, RecursionError) as error:  # of base64, UTF-8 and JSON
        raise InputError(f"Input {tensor.name!r} has content_type {content_type}, and holds none: {error}.") from None
