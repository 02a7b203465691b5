"""Which parts of a row speak for its prediction, and which against it.

    POST /v1/explanations   {"inputs": "…", "model": …}   → {"model": …, "version": …, "explanations": [{…}]}

`inputs` is one row or a list of up to four. A file of a picture or a sound may be the whole body; then the query has
what else is wanted. An explanation takes hundreds of runs of the model, which wait like those of any other request.

Of a model that generates texts, a row is a prompt, or the messages of a conversation, and `label` the text after it
whose log probability is explained; the model's own where it is left out.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeAlias, get_args

import msgspec
from msgspec import Meta

from maas.errors import InputError
from maas.explaining.explainer import Method
from maas.serving.call import RowList
from maas.serving.examples import example_text
from maas.serving.explainer import ExplanationCall
from maas.serving.faults import UnreadableError, require_rows
from maas.serving.protocols.bodies import decode, encode, is_large_file, refuse_files, require_prompts_size
from maas.serving.protocols.operation_documents import Content, JsonSchema, OperationDocument, QueryParameter
from maas.serving.protocols.operations import AnyOperation, Explaining, Rendered, Request
from maas.serving.protocols.parameters import (
    MODEL_PROPERTIES,
    MODEL_QUERY,
    VersionName,
    chosen_deployment,
    whole_number,
)
from maas.serving.protocols.schemas import object_schema, require_body_size, served_row_schema
from maas.serving.repository import Deployment, GeneratingDeployment, PredictingDeployment, Snapshot

MOST_ROWS, MOST_ORDERS, MOST_PARTS = 4, 16, 64
_OrderLimits, _PartLimits = Meta(ge=1, le=MOST_ORDERS), Meta(ge=1, le=MOST_PARTS)
Orders: TypeAlias = Annotated[int, _OrderLimits] | Annotated[float, _OrderLimits]
PartCount: TypeAlias = Annotated[int, _PartLimits] | Annotated[float, _PartLimits]
"""Whole numbers, which JSON may write as 3.0."""
_METHODS = get_args(Method)


class ExplanationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What may be wanted of an explanation, in the body or the query.

    Args:
        label: whose log-odds are explained, or the text whose log probability is.
        method: how parts are left out.
        orders: number of random orders in which they are.
        parts: largest number of them.
    """

    label: str | None = None
    method: Method | None = None
    orders: Orders | None = None
    parts: PartCount | None = None


class ExplanationsRequest(ExplanationSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a request.

    Args:
        inputs: one row, or a list of them.
        model: name of the model; null for the default one.
        version: its version or a label of one; null for the default one.
    """

    inputs: object
    model: str | None = None
    version: VersionName | None = None


_DECODER = msgspec.json.Decoder(ExplanationsRequest)
_QUERY_TYPES: Mapping[str, Any] = {
    "label": str,
    "method": Method,
    "orders": Annotated[int, _OrderLimits],
    "parts": Annotated[int, _PartLimits],
}
"""Without null, which a query cannot say."""


def explanations_operations(snapshot: Snapshot) -> list[AnyOperation]:  # noqa: ARG001  its path names no model
    """Returns the operation."""
    return [ExplanationsOperation()]


class ExplanationsOperation(Explaining[ExplanationCall]):
    """An explanation for each row."""

    protocol = "explanations"
    call_type = ExplanationCall
    path = "/v1/explanations"
    summary = "Explains predictions: what each part of an input adds."

    def is_large(self, request: Request, snapshot: Snapshot) -> bool:
        """Whether a request is large; a file may have more bytes than JSON, as its decoder lets others work."""
        named = explained_deployment(request, snapshot, None, None)[0]
        if not isinstance(named, PredictingDeployment):
            return False
        processor = named.processor
        is_file = request.media_type in processor.media_types
        return is_large_file(request.body, processor) if is_file else super().is_large(request, snapshot)

    def parse(self, request: Request, snapshot: Snapshot) -> ExplanationCall:
        """Returns a call with the rows, or with the file that the body is."""
        queried = _queried(request)
        named, wanted = explained_deployment(request, snapshot, None, None)
        if isinstance(named, PredictingDeployment):
            if request.media_type in named.processor.media_types:
                return _call(named, wanted, [request.body], request, queried)
            refuse_files(request.media_type, named.processor)
            require_body_size(request.body, snapshot.predicting)
        else:
            require_prompts_size(request.body)
        body = _read(request, snapshot.default)
        found, wanted = explained_deployment(request, snapshot, body.model, body.version)
        return _call(found, wanted, _rows_of(found, body.inputs), request, body, queried)

    def render(
        self, call: ExplanationCall, deployment: Deployment, explanations: Sequence[Mapping[str, Any]]
    ) -> Rendered:
        """Returns the explanations, and whose they are."""
        head = {"model": deployment.name, "version": deployment.version}
        return Rendered(iter((encode({**head, "explanations": explanations}),)))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns schemas and examples of the first model."""
        first = snapshot.default
        row, label = _row_schema(first), _label_schema(first)
        properties = {
            "inputs": {"anyOf": [row, {"type": "array", "minItems": 1, "maxItems": MOST_ROWS, "items": row}]},
            **MODEL_PROPERTIES,
            **label,
            "method": {"type": ["string", "null"], "enum": [*_METHODS, None]},
            "orders": {"type": ["integer", "null"], "minimum": 1, "maximum": MOST_ORDERS},
            "parts": {"type": ["integer", "null"], "minimum": 1, "maximum": MOST_PARTS},
        }
        schema = {"type": "object", "required": ["inputs"], "properties": properties, "additionalProperties": False}
        return OperationDocument(
            Content(_reply_schema(), _example_reply(first)),
            Content(schema, _example(first)),
            files=first.processor.media_types if isinstance(first, PredictingDeployment) else (),
            query=MODEL_QUERY + _label_query(snapshot) + _QUERY,
        )


def _row_schema(deployment: Deployment) -> JsonSchema:
    if isinstance(deployment, PredictingDeployment):
        return served_row_schema(deployment)
    return {"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "object"}}]}


def _label_schema(deployment: Deployment) -> dict[str, object]:
    """Returns the schema of the key that says what is explained, where a model has a choice."""
    if not isinstance(deployment, PredictingDeployment):
        return {"label": {"type": ["string", "null"]}}
    labels = deployment.postprocessor.labels
    return {"label": {"type": ["string", "null"], "enum": [*labels, None]}} if labels else {}


_QUERY = (
    QueryParameter(
        "method", {"type": "string", "enum": list(_METHODS)}, "how parts are left out: shapley, or occlusion"
    ),
    QueryParameter(
        "orders", {"type": "integer", "minimum": 1, "maximum": MOST_ORDERS}, "random orders in which parts are left out"
    ),
    QueryParameter("parts", {"type": "integer", "minimum": 1, "maximum": MOST_PARTS}, "the most parts of an input"),
)


def explained_deployment(
    request: Request, snapshot: Snapshot, model: str | None, version: VersionName | None
) -> tuple[Deployment, str | None]:
    """Returns the deployment that a request names, whatever it does, and the version that it wants.

    Raises:
        UnknownModelError: it is not served.
        InputError: the version is a fraction.
    """
    first, name = snapshot.default, model or request.query.get("model")
    if isinstance(first, PredictingDeployment) and (name is None or name in snapshot.by_name):
        return chosen_deployment(request, snapshot, first, model, version)
    wanted = request.query.get("version") if version is None else version
    text = None if wanted is None else str(whole_number("version", wanted) if isinstance(wanted, float) else wanted)
    found = snapshot.find_any(name or first.name, text)
    request.model = found.name
    return found, text


def _rows_of(deployment: Deployment, inputs: object) -> Sequence[object]:
    """Returns the rows that a body holds: one, or several. Messages are one prompt, a list of such lists several."""
    if isinstance(deployment, PredictingDeployment):
        is_many = deployment.processor.is_many(inputs)
    else:
        is_many = isinstance(inputs, list) and not any(isinstance(one, dict) for one in inputs)
    return inputs if is_many and isinstance(inputs, list) else [inputs]


def _label_query(snapshot: Snapshot) -> tuple[QueryParameter, ...]:
    """Returns the parameter that names a label of any of the models, where they have some."""
    labels = dict.fromkeys(label for one in snapshot.predicting for label in one.postprocessor.labels)
    schema = {"type": "string", "enum": list(labels)}
    parameter = QueryParameter("label", schema, "the label that is explained; else the one that the model gives")
    return (parameter,) if labels else ()


def _call(
    deployment: Deployment,
    version: str | None,
    rows: Sequence[object],
    request: Request,
    *given: ExplanationSettings,
) -> ExplanationCall:
    """Returns a call for some rows, with the settings that were given first."""
    require_rows(len(rows), MOST_ROWS)
    settings: dict[str, Any] = {}
    for name in ExplanationSettings.__struct_fields__:
        value = next((value for one in given if (value := getattr(one, name)) is not None), None)
        if value is not None:
            settings[name] = whole_number(name, value) if isinstance(value, float) else value
    return ExplanationCall(
        model=deployment.name, version=version, inputs=RowList(rows), size_bytes=len(request.body), **settings
    )


def _queried(request: Request) -> ExplanationSettings:
    found: dict[str, Any] = {}
    for name, kind in _QUERY_TYPES.items():
        try:
            if name in request.query:
                found[name] = msgspec.convert(request.query[name], kind, strict=False)
        except msgspec.ValidationError as error:
            raise InputError(
                f"The parameter {name} of the query: {error}. Send e.g. ?method=shapley&orders=8."
            ) from None
    return ExplanationSettings(**found)


def _read(request: Request, first: Deployment) -> ExplanationsRequest:
    try:
        return decode(_DECODER, request.body)
    except UnreadableError as error:
        raise UnreadableError(f"{error} like {example_text(_example(first))}") from None


def _example(deployment: Deployment) -> dict[str, object]:
    """Returns the body of a request for a deployment."""
    if isinstance(deployment, GeneratingDeployment):
        return {"inputs": deployment.example_prompts[0]}
    return {"inputs": deployment.bundle.golden.inputs[0]}


def _reply_schema() -> dict[str, object]:
    text, number = {"type": "string"}, {"type": "number"}
    place = {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 4}
    part = object_schema(name=text, place=place, attribution=number)
    one = object_schema(
        name=text,
        kind={"type": "string", "enum": ["whole", "words", "patches", "windows", "columns"]},
        seen={"description": "what the model sees: the data: URL of a picture, or the outline of a sound; null else"},
        parts={"type": "array", "items": part},
    )
    explanation = object_schema(
        quantity={"type": "string", "enum": ["log-odds", "value", "cosine", "log-probability"]},
        label={"type": ["string", "null"]},
        value=number,
        baseline={**number, "description": "with every part left out"},
        inputs={"type": "array", "items": one},
    )
    return object_schema(model=text, version=text, explanations={"type": "array", "items": explanation})


def _example_reply(deployment: Deployment) -> dict[str, object]:
    """Returns a reply of the right form; its numbers are made up, as the document runs no model."""
    head = {"model": deployment.name, "version": deployment.version}
    if not isinstance(deployment, PredictingDeployment):
        part = {"name": "France", "place": [15, 21], "attribution": 2.5}
        one = {"name": "prompt", "kind": "words", "seen": None, "parts": [part]}
        numbers = {"quantity": "log-probability", "label": "' Paris'", "value": -0.5, "baseline": -4.0}
        return {**head, "explanations": [{**numbers, "inputs": [one]}]}
    labels = deployment.postprocessor.labels
    part = {"name": "…", "place": [0, 1], "attribution": 0.75}
    shown = {"name": deployment.processor.input_name, "kind": "whole", "seen": None, "parts": [part]}
    explanation = {
        "quantity": "log-odds" if labels else "value",
        "label": labels[0] if labels else None,
        "value": 1.0,
        "baseline": 0.25,
        "inputs": [shown],
    }
    return {**head, "explanations": [explanation]}
