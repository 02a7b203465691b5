"""Triton's generate extension of the Open Inference Protocol: a text for a text, whole or as events.

`parameters` has the settings of a generation by maas's own names; the likeliest tokens are taken unless `temperature`
is set, as where Triton generates.
Source: https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_generate.md
"""

from collections.abc import Mapping, Sequence

import msgspec

from maas.errors import InputError
from maas.runtime.generation.settings import generation_settings
from maas.serving.call import GenerationCall, RowList, TextChunk
from maas.serving.examples import example_text
from maas.serving.faults import UnreadableError
from maas.serving.protocols.bodies import decode, encode, require_prompts_size
from maas.serving.protocols.open_inference.pages import MODEL_PATHS, path_values
from maas.serving.protocols.operation_documents import Content, OperationDocument
from maas.serving.protocols.operations import EVENT_STREAM, AnyOperation, Generating, Request
from maas.serving.protocols.schemas import schema_like
from maas.serving.protocols.streaming import TextEvents
from maas.serving.repository import GeneratingDeployment, Snapshot

EXAMPLE_REQUEST = {"text_input": "In the beginning", "parameters": {"max_tokens": 16}}


class GenerateRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request."""

    text_input: str
    id: str | None = None
    parameters: dict[str, object] | None = None


class GenerateCall(GenerationCall, frozen=True, kw_only=True):
    """A call for one text.

    Args:
        identity: what the client calls its request; empty where it has no name.
    """

    identity: str = ""


_DECODER = msgspec.json.Decoder(GenerateRequest)


def generate_operations(snapshot: Snapshot) -> list[AnyOperation]:
    """Returns the operations; documents show them where a model generates."""
    return [
        GenerateOperation(path, is_streamed=is_streamed, is_documented=bool(snapshot.generating))
        for path in MODEL_PATHS
        for is_streamed in (False, True)
    ]


class GenerateOperation(Generating[GenerateCall]):
    """A text for a text.

    Args:
        path: of the model, or of one version of it.
        is_streamed: whether the text comes as events.
        is_documented: whether documents show it.
    """

    protocol = "v2"
    call_type = GenerateCall

    def __init__(self, path: str, *, is_streamed: bool, is_documented: bool = True) -> None:
        self.path = f"{path}/{'generate_stream' if is_streamed else 'generate'}"
        self.summary = "Continues a text, as events." if is_streamed else "Continues a text."
        self.is_documented = is_documented
        self.may_stream = is_streamed

    def parse(self, request: Request, snapshot: Snapshot) -> GenerateCall:
        """Returns a call with the text."""
        deployment = snapshot.find_generating(request.values["name"], request.values.get("version"))
        request.model = deployment.name
        require_prompts_size(request.body)
        try:
            body = decode(_DECODER, request.body)
        except UnreadableError as error:
            raise UnreadableError(f"{error} like {example_text(EXAMPLE_REQUEST)}") from None
        return call_for_a_text(
            deployment,
            body.text_input,
            _without_stream(body.parameters or {}, is_streamed=self.may_stream),
            identity=body.id or "",
            size_bytes=len(request.body),
            is_streamed=self.may_stream,
        )

    def render(self, call: GenerateCall, deployment: GeneratingDeployment, texts: Sequence[TextChunk]) -> bytes:
        """Returns the text with the name of its model."""
        return encode(_record(call, deployment, texts[0].text))

    def events(self, call: GenerateCall, deployment: GeneratingDeployment) -> "GenerateEvents":
        """Returns what writes the events of a stream."""
        return GenerateEvents(call, deployment)

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns schemas and examples of the first model that generates."""
        deployment = snapshot.find_generating(None)
        call = GenerateCall(model=deployment.name, inputs=RowList([""]), settings=generation_settings({}), size_bytes=0)
        record = _record(call, deployment, " was the Word")
        schema = {
            "type": "object",
            "required": ["text_input"],
            "properties": {
                "text_input": {"type": "string", "minLength": 1},
                "id": {"type": ["string", "null"]},
                "parameters": {"type": ["object", "null"]},
            },
            "additionalProperties": False,
        }
        return OperationDocument(
            self._documented_reply(record), Content(schema, EXAMPLE_REQUEST), path_values(self.path, deployment)
        )

    def _documented_reply(self, record: Mapping[str, object]) -> Content:
        """Returns what comes back: a record, with the request's name where it has one, or events of such records."""
        if self.may_stream:
            schema = {"description": "events, a record with a piece of the text each"}
            return Content(schema, _event(encode(record)).decode(), EVENT_STREAM)
        return Content({**schema_like({**record, "id": ""}), "required": list(record)}, record)


class GenerateEvents(TextEvents):
    """Events of one stream: what the text gains, in the form of a reply.

    Args:
        call: whose reply it is.
        deployment: that generates.
    """

    def __init__(self, call: GenerateCall, deployment: GeneratingDeployment) -> None:
        self._call, self._deployment = call, deployment

    def written(self, chunk: TextChunk) -> bytes:
        """Returns an event, unless nothing is whole yet."""
        return _event(encode(_record(self._call, self._deployment, chunk.text))) if chunk.text else b""

    def end(self) -> bytes:
        """Returns nothing: the stream ends."""
        return b""

    def fault(self, body: bytes) -> bytes:
        """Returns the error as an event."""
        return _event(body)


def call_for_a_text(
    deployment: GeneratingDeployment,
    text: str,
    parameters: Mapping[str, object],
    *,
    identity: str,
    size_bytes: int,
    is_streamed: bool,
) -> GenerateCall:
    """Returns a call for one text.

    Args:
        deployment: that generates.
        text: to continue.
        parameters: settings of the generation by their names.
        identity: what the client calls its request.
        size_bytes: size of the request.
        is_streamed: whether pieces of the text are wanted as they come.

    Raises:
        InputError: a parameter is unknown, has a value that it may not have, or wants what no reply has a place for.
    """
    settings = generation_settings(parameters)
    if settings.logprobs is not None:
        raise InputError("logprobs are not reported here; /v1/completions and /v1/chat/completions report them.")
    return GenerateCall(
        model=deployment.name,
        version=deployment.version,
        inputs=RowList([text]),
        settings=settings,
        size_bytes=size_bytes,
        stream=is_streamed,
        identity=identity,
    )


def _without_stream(parameters: Mapping[str, object], *, is_streamed: bool) -> dict[str, object]:
    """Returns parameters without `stream`, which says the same as the path.

    Raises:
        InputError: it says the opposite.
    """
    if parameters.get("stream", is_streamed) is not is_streamed:
        path = "generate" if is_streamed else "generate_stream"
        raise InputError(f"The parameter stream is {str(not is_streamed).lower()}; send the request to {path} instead.")
    return {name: value for name, value in parameters.items() if name != "stream"}


def _record(call: GenerateCall, deployment: GeneratingDeployment, text: str) -> dict[str, object]:
    record: dict[str, object] = {
        "model_name": deployment.name,
        "model_version": deployment.version,
        "text_output": text,
    }
    if call.identity:
        record["id"] = call.identity
    return record


def _event(data: bytes) -> bytes:
    return b"data: %b\n\n" % data
