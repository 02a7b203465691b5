"""TensorFlow Serving's REST: `:predict` in rows and columns, `:classify`, `:regress`, and what they may be sent.

KServe's first protocol has the same path for predictions. A signature has all outputs of a model, by name.
Source: https://www.tensorflow.org/tfx/serving/api_rest
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from maas.errors import InputError, shortened_value
from maas.runtime.codec import Outputs
from maas.serving.call import Call, Row, RowList, slices
from maas.serving.examples import example_text
from maas.serving.faults import UnreadableError
from maas.serving.protocols.bodies import decode_with_nan, encode, encoded_list
from maas.serving.protocols.operations import (
    AnyOperation,
    Content,
    Inference,
    JsonSchema,
    OperationDocument,
    Rendered,
    Request,
)
from maas.serving.protocols.rows import rows_of_columns, rows_of_instances
from maas.serving.protocols.schemas import example_schema, instance_schema, require_body_size, schema_like
from maas.serving.protocols.tf_serving_pages import (
    SIGNATURE_SCHEMA,
    TF_PATHS,
    TfMetadataPage,
    TfStatusPage,
    is_regression,
    require_signature,
    tf_deployment,
    tf_fault,
    tf_values,
)
from maas.serving.repository import Deployment, Snapshot


class TfPredictRequest(msgspec.Struct):
    """The body of `:predict`: rows or columns."""

    signature_name: str | None = None
    instances: list[object] | msgspec.UnsetType = msgspec.UNSET
    inputs: object = msgspec.UNSET


class TfExamplesRequest(msgspec.Struct):
    """The body of `:classify` and `:regress`: an object by feature for each row."""

    examples: list[dict[str, object]]
    signature_name: str | None = None
    context: dict[str, object] = {}


class TfCall(Call, frozen=True, kw_only=True):
    """A call whose outputs are wanted in rows or in columns.

    Args:
        is_columnar: whether they are wanted in columns.
    """

    is_columnar: bool = False


_PREDICT = msgspec.json.Decoder(TfPredictRequest)
_EXAMPLES = msgspec.json.Decoder(TfExamplesRequest)


def tf_serving_operations(snapshot: Snapshot) -> list[AnyOperation]:
    """Returns verbs, metadata and states for each way to name a version; documents show the verbs of the models."""
    examples = [
        kind(path, is_documented=any(map(kind.is_for, snapshot.deployments)))
        for path in TF_PATHS
        for kind in (TfClassify, TfRegress)
    ]
    return [
        *(kind(path) for path in TF_PATHS for kind in (TfPredict, TfMetadataPage)),
        *examples,
        *map(TfStatusPage, TF_PATHS[1:]),
    ]


class _TfVerb(Inference[TfCall]):
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
    def rows(self, body: bytes | bytearray, deployment: Deployment) -> tuple[list[Row], bool]:
        """Returns the rows of a body, and whether they came in columns.

        Raises:
            InputError: it is not what the verb takes, or the model is not of its kind.
        """

    @abstractmethod
    def example(self, deployment: Deployment) -> Mapping[str, object]:
        """Returns a request that works."""


class TfPredict(_TfVerb):
    """All outputs, row by row or column by column."""

    verb = "predict"
    summary = "Answers TensorFlow Serving's instances (rows) or inputs (columns)."

    def rows(self, body: bytes | bytearray, deployment: Deployment) -> tuple[list[Row], bool]:
        """Returns the rows of `instances`, or those of `inputs`."""
        read = decode_with_nan(_PREDICT, body)
        require_signature(read.signature_name, self.verb, deployment)
        specs = deployment.signature.inputs
        if (read.instances is msgspec.UNSET) == (read.inputs is msgspec.UNSET):
            found = "both instances and inputs" if read.instances is not msgspec.UNSET else "neither"
            raise UnreadableError(f"The body has {found}; it takes instances (rows) or inputs (columns). Send JSON")
        if read.instances is not msgspec.UNSET:
            return rows_of_instances(read.instances, specs), False
        return rows_of_columns(read.inputs, specs), True

    def render(self, call: TfCall, deployment: Deployment, outputs: Outputs) -> Rendered:
        """Returns `predictions` of rows, or `outputs` of columns; one output alone has no name."""
        names = list(deployment.output_specs)
        if call.is_columnar:
            tensors = deployment.postprocessor.tensors(outputs)
            return Rendered(_columns({name: tensors[name] for name in names}))
        parts = (deployment.postprocessor.tensors(part) for part in slices(outputs))
        rows = (_by_row([part[name].tolist() for name in names], names) for part in parts)
        return Rendered(_keyed("predictions", rows))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns schemas and examples of the first model."""
        first = snapshot.first
        reply = _example_reply(self, first)
        forms: dict[str, JsonSchema] = {"instances": {"type": "array", "minItems": 1, "items": instance_schema(first)}}
        if len(first.signature.inputs) == 1:
            forms["inputs"] = forms["instances"]  # a schema cannot say that columns are of equal length
        schema = {
            "type": "object",
            "properties": {"signature_name": SIGNATURE_SCHEMA, **forms},
            "oneOf": [{"required": [form]} for form in forms],
        }
        lists: JsonSchema = {"type": "array", "items": {}}
        outputs = {"anyOf": [lists, {"type": "object", "additionalProperties": lists}]}
        in_columns = {"type": "object", "required": ["outputs"], "properties": {"outputs": outputs}}
        return OperationDocument(
            Content({"anyOf": [schema_like(reply), in_columns]}, reply),
            Content(schema, self.example(first)),
            tf_values(self.path, first),
        )

    def example(self, deployment: Deployment) -> Mapping[str, object]:
        """Returns a golden row as an instance."""
        return {"instances": deployment.bundle.golden.inputs[:1]}


class _TfExamples(_TfVerb):
    """A verb that takes examples, and gives one kind of result."""

    def rows(self, body: bytes | bytearray, deployment: Deployment) -> tuple[list[Row], bool]:
        """Returns the rows of `examples`, each with the features of `context`."""
        read = decode_with_nan(_EXAMPLES, body)
        require_signature(read.signature_name, self.verb, deployment)
        for index, example in enumerate(read.examples if read.context else ()):
            if twice := read.context.keys() & example.keys():
                names = ", ".join(sorted(shortened_value(name, "") for name in twice))
                raise InputError(f"Row {index} has {names}, which the context has as well; send it in one of them.")
        rows: Sequence[object] = [{**read.context, **example} for example in read.examples]
        return rows_of_instances(rows, deployment.signature.inputs), False

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns schemas and examples of the first model that has results of this kind."""
        first = next(filter(self.is_for, snapshot.deployments))
        reply = _example_reply(self, first)
        example = example_schema(first)
        schema = {
            "type": "object",
            "required": ["examples"],
            "properties": {
                "signature_name": SIGNATURE_SCHEMA,
                "examples": {"type": "array", "minItems": 1, "items": example},
            },
        }
        return OperationDocument(
            Content(schema_like(reply), reply), Content(schema, self.example(first)), tf_values(self.path, first)
        )

    def example(self, deployment: Deployment) -> Mapping[str, object]:
        """Returns a golden row as an example."""
        specs, row = deployment.signature.inputs, deployment.bundle.golden.inputs[0]
        if len(specs) == 1:
            return {"examples": [{specs[0].name: row}]}
        named = row if isinstance(row, dict) else dict(zip([spec.name for spec in specs], row, strict=True))
        return {"examples": [named]}

    @staticmethod
    @abstractmethod
    def is_for(deployment: Deployment) -> bool:
        """Whether a model has results of this kind."""


class TfClassify(_TfExamples):
    """Labels with their scores."""

    verb = "classify"
    summary = "Answers TensorFlow Serving's examples with each label and its score."

    @staticmethod
    def is_for(deployment: Deployment) -> bool:
        """Whether it has labels."""
        return bool(deployment.postprocessor.labels)

    def render(self, call: TfCall, deployment: Deployment, outputs: Outputs) -> Rendered:
        """Returns pairs of label and score for each row, in the order of the labels."""
        labels, scores = deployment.postprocessor.labels, deployment.postprocessor.scores
        pairs = ([list(zip(labels, row, strict=True)) for row in scores(part).tolist()] for part in slices(outputs))
        return Rendered(_keyed("results", pairs))


class TfRegress(_TfExamples):
    """A value for each row."""

    verb = "regress"
    summary = "Answers TensorFlow Serving's examples with a value each."

    @staticmethod
    def is_for(deployment: Deployment) -> bool:
        """Whether its scores are one value a row."""
        return is_regression(deployment)

    def render(self, call: TfCall, deployment: Deployment, outputs: Outputs) -> Rendered:
        """Returns the value of each row."""
        values = (deployment.postprocessor.scores(part)[:, 0].tolist() for part in slices(outputs))
        return Rendered(_keyed("results", values))


def _by_row(columns: Sequence[list[object]], names: Sequence[str]) -> list[object]:
    if len(names) == 1:
        return columns[0]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _keyed(key: str, lists: Iterable[Sequence[object]]) -> Iterator[bytes]:
    """Yields an object with one key, whose value is all that some lists hold."""
    yield b"{" + encode(key) + b":"
    yield from encoded_list(lists)
    yield b"}"


def _columns(columns: Outputs) -> Iterator[bytes]:
    """Yields `outputs`: a list by name, or one list alone."""
    yield b'{"outputs":'
    if len(columns) == 1:
        yield from _column(*columns.values())
    else:
        for number, (name, values) in enumerate(columns.items()):
            yield (b"," if number else b"{") + encode(name) + b":"
            yield from _column(values)
        yield b"}"
    yield b"}"


def _column(values: NDArray[np.generic]) -> Iterator[bytes]:
    return encoded_list(part[""].tolist() for part in slices({"": values}))


def _example_reply(verb: _TfVerb, deployment: Deployment) -> dict[str, object]:
    """Returns what a verb gives for the first golden row."""
    call = TfCall(model=deployment.name, inputs=RowList([]), size_bytes=0)
    parts = verb.render(call, deployment, deployment.example_outputs).parts
    return msgspec.json.decode(b"".join(parts), type=dict[str, object])
