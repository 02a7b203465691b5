"""What TensorFlow Serving's verbs share: the path, the form of a fault, and a call.

Source: https://www.tensorflow.org/tfx/serving/api_rest
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from maas.serving.call import Call, Row, RowList
from maas.serving.examples import example_text
from maas.serving.faults import UnreadableError
from maas.serving.protocols.bodies import encode, encoded_list
from maas.serving.protocols.operations import Inference, Request
from maas.serving.protocols.schemas import (
    require_body_size,
)
from maas.serving.protocols.tensorflow_serving.pages import (
    tf_deployment,
    tf_fault,
)
from maas.serving.repository import PredictingDeployment, Snapshot


class TfCall(Call, frozen=True, kw_only=True):
    """A call whose outputs are wanted in rows or in columns.

    Args:
        is_columnar: whether they are wanted in columns.
    """

    is_columnar: bool = False


class TfVerb(Inference[TfCall]):
    """A verb after the name of a model or of one of its versions.

    Args:
        path: that names it.
        is_documented: whether documents show it.
    """

    protocol = "tf_serving"
    call_type = TfCall
    verb: str

    def __init__(self, path: str, *, is_documented: bool = True) -> None:
        self.path = f"{path}:{self.verb}"
        self.is_documented = is_documented

    def fault(self, kind: str, message: str) -> Mapping[str, object]:
        """Returns the message alone."""
        return tf_fault(kind, message)

    def parse(self, request: Request, snapshot: Snapshot) -> TfCall:
        """Returns a call with the rows."""
        deployment, version = tf_deployment(request, snapshot)
        require_body_size(request.body, (deployment,))
        try:
            rows, is_columnar = self.rows(request.body, deployment)
        except UnreadableError as error:
            raise UnreadableError(f"{error} like {example_text(self.example(deployment))}") from None
        return TfCall(
            model=deployment.name,
            version=version,
            inputs=RowList(rows),
            size_bytes=len(request.body),
            is_columnar=is_columnar,
        )

    @abstractmethod
    def rows(self, body: bytes | bytearray, deployment: PredictingDeployment) -> tuple[list[Row], bool]:
        """Returns the rows of a body, and whether they came in columns.

        Raises:
            InputError: it is not what the verb takes, or the model is not of its kind.
        """

    @abstractmethod
    def example(self, deployment: PredictingDeployment) -> Mapping[str, object]:
        """Returns a request that works."""


def keyed_list(key: str, lists: Iterable[Sequence[object]]) -> Iterator[bytes]:
    """Yields an object with one key, whose value is all that some lists hold."""
    yield b"{" + encode(key) + b":"
    yield from encoded_list(lists)
    yield b"}"


def example_reply(verb: TfVerb, deployment: PredictingDeployment) -> dict[str, object]:
    """Returns what a verb gives for the first golden row."""
    call = TfCall(model=deployment.name, inputs=RowList([]), size_bytes=0)
    parts = verb.render(call, deployment, deployment.example_outputs).parts
    return msgspec.json.decode(b"".join(parts), type=dict[str, object])
