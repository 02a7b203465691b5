"""TensorFlow Serving's `:classify` and `:regress`: examples by feature, and one kind of result for each.

Source: https://www.tensorflow.org/tfx/serving/api_rest
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec

from maas.errors import InputError, shortened_value
from maas.runtime.codec import Outputs
from maas.serving.call import Row, slices
from maas.serving.protocols.bodies import decode_with_nan
from maas.serving.protocols.operation_documents import Content, JsonSchema, OperationDocument
from maas.serving.protocols.operations import Rendered
from maas.serving.protocols.rows import rows_of_instances
from maas.serving.protocols.schemas import (
    example_schema,
    object_schema,
)
from maas.serving.protocols.tensorflow_serving.pages import (
    SIGNATURE_SCHEMA,
    is_regression,
    require_signature,
    tf_values,
)
from maas.serving.protocols.tensorflow_serving.verbs import TfCall, TfVerb, example_reply, keyed_list
from maas.serving.repository import PredictingDeployment, Snapshot


class TfExamplesRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `:classify` and `:regress`: an object by feature for each row."""

    examples: list[dict[str, object]]
    signature_name: str | None = None
    context: dict[str, object] = {}


_EXAMPLES = msgspec.json.Decoder(TfExamplesRequest)


class TfExamples(TfVerb):
    """A verb that takes examples, and gives one kind of result, whose schema is `result`."""

    result: ClassVar[JsonSchema]

    def rows(self, body: bytes | bytearray, deployment: PredictingDeployment) -> tuple[list[Row], bool]:
        """Returns the rows of `examples`, each with the features of `context`."""
        read = decode_with_nan(_EXAMPLES, body)
        require_signature(read.signature_name, self.verb, deployment)
        rows = with_context(read.examples, read.context)
        return rows_of_instances(rows, deployment.signature.inputs), False

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns schemas and examples of the first model of this kind; a schema cannot say what a context takes."""
        first = next(filter(self.is_for, snapshot.predicting))
        reply = example_reply(self, first)
        example = example_schema(first)
        schema = {
            "type": "object",
            "required": ["examples"],
            "properties": {
                "signature_name": SIGNATURE_SCHEMA,
                "examples": {"type": "array", "minItems": 1, "items": example},
            },
            "additionalProperties": False,
        }
        results = object_schema(results={"type": "array", "items": self.result})
        return OperationDocument(
            Content(results, reply), Content(schema, self.example(first)), tf_values(self.path, first)
        )

    def example(self, deployment: PredictingDeployment) -> Mapping[str, object]:
        """Returns a golden row as an example."""
        specs, row = deployment.signature.inputs, deployment.bundle.golden.inputs[0]
        if len(specs) == 1:
            return {"examples": [{specs[0].name: row}]}
        named = row if isinstance(row, dict) else dict(zip([spec.name for spec in specs], row, strict=True))
        return {"examples": [named]}

    @staticmethod
    @abstractmethod
    def is_for(deployment: PredictingDeployment) -> bool:
        """Whether a model has results of this kind."""


def with_context(
    examples: Sequence[Mapping[str, object]], context: Mapping[str, object]
) -> Sequence[Mapping[str, object]]:
    """Returns examples that have the features of a context beside their own.

    Raises:
        InputError: an example has a feature that the context has as well.
    """
    if not context:
        return examples
    for index, example in enumerate(examples):
        if twice := context.keys() & example.keys():
            names = ", ".join(sorted(shortened_value(name, "") for name in twice))
            raise InputError(f"Row {index} has {names}, which the context has as well; send it in one of them.")
    return [{**context, **example} for example in examples]


class TfClassify(TfExamples):
    """Labels with their scores."""

    verb = "classify"
    result: ClassVar[JsonSchema] = {
        "type": "array",
        "items": {"type": "array", "items": {}, "minItems": 2, "maxItems": 2},
        "description": "pairs of a label and its score",
    }
    summary = "Answers TensorFlow Serving's examples with each label and its score."

    @staticmethod
    def is_for(deployment: PredictingDeployment) -> bool:
        """Whether it has labels."""
        return bool(deployment.postprocessor.labels)

    def render(self, call: TfCall, deployment: PredictingDeployment, outputs: Outputs) -> Rendered:
        """Returns pairs of label and score for each row, in the order of the labels."""
        labels, scores = deployment.postprocessor.labels, deployment.postprocessor.scores
        pairs = ([list(zip(labels, row, strict=True)) for row in scores(part).tolist()] for part in slices(outputs))
        return Rendered(keyed_list("results", pairs))


class TfRegress(TfExamples):
    """A value for each row."""

    verb = "regress"
    result: ClassVar[JsonSchema] = {"type": "number"}
    summary = "Answers TensorFlow Serving's examples with a value each."

    @staticmethod
    def is_for(deployment: PredictingDeployment) -> bool:
        """Whether its scores are one value a row."""
        return is_regression(deployment)

    def render(self, call: TfCall, deployment: PredictingDeployment, outputs: Outputs) -> Rendered:
        """Returns the value of each row."""
        values = (deployment.postprocessor.scores(part)[:, 0].tolist() for part in slices(outputs))
        return Rendered(keyed_list("results", values))
