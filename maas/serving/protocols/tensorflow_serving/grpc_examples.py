"""TensorFlow Serving's `Classify` and `Regress` over gRPC: `tf.Example` messages in, one kind of result for each out.

Source: https://github.com/tensorflow/serving/blob/master/tensorflow_serving/apis/input.proto
"""

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from maas.errors import InputError
from maas.records.signature import TensorSpec
from maas.runtime.codec import Outputs
from maas.serving.call import RowList
from maas.serving.faults import require_rows
from maas.serving.protocols.grpc_methods import PROTOBUF
from maas.serving.protocols.operations import Rendered, Request
from maas.serving.protocols.rows import rows_of_instances
from maas.serving.protocols.tensorflow_serving.examples import with_context
from maas.serving.protocols.tensorflow_serving.grpc_calls import TfGrpcCall, TfGrpcVerb, deployment_of_spec, set_spec
from maas.serving.protocols.tensorflow_serving.pages import require_signature
from maas.serving.protocols.tensors import decoded_text
from maas.serving.repository import PredictingDeployment, Snapshot

if TYPE_CHECKING:
    from google.protobuf.message import Message


class GrpcExamples(TfGrpcVerb):
    """A method that takes examples."""

    def parse(self, request: Request, snapshot: Snapshot) -> TfGrpcCall:
        """Returns a call with the rows that a message's examples are."""
        message = self.rpc.read(request)
        deployment, wanted = deployment_of_spec(message.model_spec, request, snapshot)
        require_signature(message.model_spec.signature_name or None, self.verb, deployment)
        kind = message.input.WhichOneof("kind")
        if kind is None:
            raise InputError("The input is empty; send example_list, or example_list_with_context.")
        given, specs = getattr(message.input, kind), deployment.signature.inputs
        require_rows(len(given.examples), deployment.engine.max_rows)
        known = {spec.name: spec for spec in specs}
        context = _features(given.context, known) if kind == "example_list_with_context" else {}
        examples = with_context([_features(one, known) for one in given.examples], context)
        return TfGrpcCall(
            model=deployment.name,
            version=wanted,
            inputs=RowList(rows_of_instances(examples, specs)),
            size_bytes=len(request.body),
            signature_name=message.model_spec.signature_name,
        )

    def render(self, call: TfGrpcCall, deployment: PredictingDeployment, outputs: Outputs) -> Rendered:
        """Returns a message with a result for each example."""
        reply = self.rpc.reply_type()
        set_spec(reply.model_spec, deployment, self.signature_of(call))
        self.write(reply.result, deployment, outputs)
        return Rendered(iter((reply.SerializeToString(),)), PROTOBUF)

    @staticmethod
    @abstractmethod
    def write(result: "Message", deployment: PredictingDeployment, outputs: Outputs) -> None:
        """Writes a result for each row."""


class GrpcClassify(GrpcExamples):
    """Labels with their scores."""

    verb = "classify"

    @staticmethod
    def write(result: "Message", deployment: PredictingDeployment, outputs: Outputs) -> None:
        """Writes each label and its score, in the order of the labels."""
        labels = deployment.postprocessor.labels
        for row in deployment.postprocessor.scores(outputs).tolist():
            classes = result.classifications.add().classes
            for label, score in zip(labels, row, strict=True):
                classes.add(label=label, score=score)


class GrpcRegress(GrpcExamples):
    """A value for each row."""

    verb = "regress"

    @staticmethod
    def write(result: "Message", deployment: PredictingDeployment, outputs: Outputs) -> None:
        """Writes the value of each row."""
        for value in deployment.postprocessor.scores(outputs)[:, 0].tolist():
            result.regressions.add(value=value)


def _features(example: "Message", known: dict[str, TensorSpec]) -> dict[str, object]:
    """Returns an example's values by feature; one without values is missing."""
    return dict(_named_values(example, known))


def _named_values(example: "Message", known: dict[str, TensorSpec]) -> Iterator[tuple[str, object]]:
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        values = list(getattr(feature, kind).value) if kind else []
        if values:
            yield name, _value(name, values, known.get(name))


def _value(name: str, values: list[object], spec: TensorSpec | None) -> object:
    """Returns a row's value: one alone where a row is a value, or is the bytes of a file."""
    if spec is None:
        return values
    if isinstance(values[0], bytes):
        if spec.datatype == "BYTES":
            values = [decoded_text(one, "Feature", name) for one in values if isinstance(one, bytes)]
        elif len(values) == 1:
            return values[0]
    inner = spec.shape[1:]
    if not inner:
        return values[0] if len(values) == 1 else values
    if len(inner) > 1 and len(values) == np.prod(inner):
        nested: object = np.reshape(np.array(values), inner).tolist()
        return nested
    return values
