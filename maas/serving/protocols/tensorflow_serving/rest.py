"""TensorFlow Serving's REST: `:predict` in rows and columns, `:classify`, `:regress`, and what they may be sent.

KServe's first protocol has the same path for predictions. A signature has all outputs of a model, by name.
Source: https://www.tensorflow.org/tfx/serving/api_rest
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from maas.runtime.codec import Outputs
from maas.serving.call import Row, slices
from maas.serving.faults import UnreadableError
from maas.serving.protocols.bodies import decode_with_nan, encode, encoded_list
from maas.serving.protocols.operation_documents import Content, JsonSchema, OperationDocument
from maas.serving.protocols.operations import AnyOperation, Rendered
from maas.serving.protocols.rows import rows_of_columns, rows_of_instances
from maas.serving.protocols.schemas import (
    instance_schema,
    one_of_forms,
    schema_like,
)
from maas.serving.protocols.tensorflow_serving.examples import TfClassify, TfRegress
from maas.serving.protocols.tensorflow_serving.pages import (
    SIGNATURE_SCHEMA,
    TF_PATHS,
    TfMetadataPage,
    TfStatusPage,
    require_signature,
    tf_values,
)
from maas.serving.protocols.tensorflow_serving.verbs import TfCall, TfVerb, example_reply, keyed_list
from maas.serving.repository import PredictingDeployment, Snapshot


class TfPredictRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `:predict`: rows or columns."""

    signature_name: str | None = None
    instances: list[object] | msgspec.UnsetType = msgspec.UNSET
    inputs: object = msgspec.UNSET


_PREDICT = msgspec.json.Decoder(TfPredictRequest)


def tf_serving_operations(snapshot: Snapshot) -> list[AnyOperation]:
    """Returns verbs, metadata and states for each way to name a version; documents show the verbs of the models."""
    examples = [
        kind(path, is_documented=any(map(kind.is_for, snapshot.predicting)))
        for path in TF_PATHS
        for kind in (TfClassify, TfRegress)
    ]
    return [
        *(kind(path) for path in TF_PATHS for kind in (TfPredict, TfMetadataPage)),
        *examples,
        *map(TfStatusPage, TF_PATHS[1:]),
    ]


class TfPredict(TfVerb):
    """All outputs, row by row or column by column."""

    verb = "predict"
    summary = "Answers TensorFlow Serving's instances (rows) or inputs (columns)."

    def rows(self, body: bytes | bytearray, deployment: PredictingDeployment) -> tuple[list[Row], bool]:
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

    def render(self, call: TfCall, deployment: PredictingDeployment, outputs: Outputs) -> Rendered:
        """Returns `predictions` of rows, or `outputs` of columns; one output alone has no name."""
        names = list(deployment.output_specs)
        if call.is_columnar:
            tensors = deployment.postprocessor.tensors(outputs)
            return Rendered(_columns({name: tensors[name] for name in names}))
        parts = (deployment.postprocessor.tensors(part) for part in slices(outputs))
        rows = (_by_row([part[name].tolist() for name in names], names) for part in parts)
        return Rendered(keyed_list("predictions", rows))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns schemas and examples of the first model."""
        first = snapshot.first
        reply = example_reply(self, first)
        forms: dict[str, JsonSchema] = {"instances": {"type": "array", "minItems": 1, "items": instance_schema(first)}}
        if len(first.signature.inputs) == 1:
            forms["inputs"] = forms["instances"]  # a schema cannot say that columns are of equal length
        schema = one_of_forms(forms, {"signature_name": SIGNATURE_SCHEMA})
        lists: JsonSchema = {"type": "array", "items": {}}
        outputs = {"anyOf": [lists, {"type": "object", "additionalProperties": lists}]}
        in_columns = {"type": "object", "required": ["outputs"], "properties": {"outputs": outputs}}
        return OperationDocument(
            Content({"anyOf": [schema_like(reply), in_columns]}, reply),
            Content(schema, self.example(first)),
            tf_values(self.path, first),
        )

    def example(self, deployment: PredictingDeployment) -> Mapping[str, object]:
        """Returns a golden row as an instance."""
        return {"instances": deployment.bundle.golden.inputs[:1]}


def _by_row(columns: Sequence[list[object]], names: Sequence[str]) -> list[object]:
    if len(names) == 1:
        return columns[0]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


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
