"""OpenAI's transcriptions: a sound as a file of a multipart form, its text as JSON or as it is.

Source: https://platform.openai.com/docs/api-reference/audio/createTranscription
"""

from collections.abc import Callable, Mapping
from typing import Literal, get_args

from maas.errors import InputError, shortened_value
from maas.runtime.codec import Outputs
from maas.runtime.postprocessors.translation import SPOKEN_TEXT
from maas.serving.call import Call, RowList
from maas.serving.protocols.bodies import LARGE_FILE_BYTES, encode
from maas.serving.protocols.forms import FORM, Form, form_of
from maas.serving.protocols.openai.operations import OpenAiOperation
from maas.serving.protocols.operation_documents import Content, JsonSchema, OperationDocument
from maas.serving.protocols.operations import JSON, TEXT, AnyOperation, Inference, Rendered, Request
from maas.serving.protocols.parameters import MODEL_QUERY, chosen_deployment
from maas.serving.protocols.schemas import schema_like
from maas.serving.repository import PredictingDeployment, Snapshot

ResponseFormat = Literal["json", "text"]
FILE = "file"
GREEDY = ("", "0", "0.0")
"""Temperatures of the likeliest text, which is what a model gives."""
UNSTREAMED = ("", "false", "False")
KNOWN = ("model", "response_format", "temperature", "stream")


class TranscriptionCall(Call, frozen=True, kw_only=True):
    """A call that wants the text of one sound.

    Args:
        response_format: as a JSON object, or the text alone.
    """

    response_format: ResponseFormat = "json"


def audio_operations(snapshot: Snapshot) -> list[AnyOperation]:
    """Returns transcriptions; documents show them where a model gives some."""
    return [TranscriptionsOperation(is_documented=bool(transcribing(snapshot)))]


class TranscriptionsOperation(OpenAiOperation, Inference[TranscriptionCall]):
    """The text of a sound."""

    call_type = TranscriptionCall
    takes_forms = True
    path = "/v1/audio/transcriptions"
    summary = "Answers a sound with its text, as OpenAI's transcriptions do."

    def is_large(self, request: Request, snapshot: Snapshot) -> bool:
        """Whether another process decodes the sound."""
        return len(request.body) > LARGE_FILE_BYTES

    def parse(self, request: Request, snapshot: Snapshot) -> TranscriptionCall:
        """Returns a call with the file of the form."""
        form, models = form_of(request), transcribing(snapshot)
        default = models[0] if models else snapshot.first
        deployment, wanted = chosen_deployment(request, snapshot, default, form.texts.get("model"), None)
        if not models or not _transcribes(deployment):
            known = ", ".join(dict.fromkeys(one.name for one in models)) or "none is served here"
            raise InputError(
                f"Model {deployment.name!r} is for {deployment.task}, and does not transcribe; name one that "
                f"does: {known}."
            )
        return TranscriptionCall(
            model=deployment.name,
            version=wanted,
            inputs=RowList([_sound(form)]),
            size_bytes=len(request.body),
            response_format=_response_format(form.texts),
        )

    def render(self, call: TranscriptionCall, deployment: PredictingDeployment, outputs: Outputs) -> Rendered:
        """Returns the text, as JSON or alone."""
        (prediction,) = deployment.postprocessor.predictions(outputs)
        written, media_type = _WRITERS[call.response_format]
        return Rendered(iter((written(prediction["text"]),)), media_type)

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns schemas and examples of the first model that transcribes."""
        first = transcribing(snapshot)[0]
        reply = {"text": first.bundle.golden.predictions[0]["text"]}
        properties: JsonSchema = {
            FILE: {"type": "string", "format": "binary", "description": "a WAV, FLAC or Ogg file"},
            "model": {"type": "string"},
            "response_format": {"type": "string", "enum": list(_FORMATS)},
        }
        schema = {"type": "object", "required": [FILE], "properties": properties, "additionalProperties": False}
        return OperationDocument(
            Content(schema_like(reply), reply),
            Content(schema, {FILE: "FILE.wav", "model": first.name}, FORM),
            query=MODEL_QUERY,
        )


def transcribing(snapshot: Snapshot) -> list[PredictingDeployment]:
    """Returns the models that transcribe sounds."""
    return [one for one in snapshot.predicting if _transcribes(one)]


def _transcribes(deployment: PredictingDeployment) -> bool:
    gives_text = any(spec.name == SPOKEN_TEXT for spec in deployment.postprocessor.specs)
    return gives_text and bool(deployment.processor.media_types)  # reading it may open the bundle


def _sound(form: Form) -> bytes:
    if list(form.files) != [FILE]:
        found = ", ".join(map(shortened_value, form.files)) or "none"
        raise InputError(f"The form has the files {found}; send one sound as {FILE}.")
    return form.files[FILE]


def _response_format(fields: Mapping[str, str]) -> ResponseFormat:
    """Returns the form of the reply; what a form has and is not done here is refused by name."""
    if unknown := sorted(name for name in fields if name not in KNOWN):
        raise InputError(f"The field {shortened_value(unknown[0], '')} is not done here: leave it out.")
    if fields.get("temperature", "") not in GREEDY:
        raise InputError(
            "The field temperature is not done here: the likeliest text is given. Leave it out, or send 0."
        )
    if fields.get("stream", "") not in UNSTREAMED:
        raise InputError("The field stream is not done here: the text is given whole. Leave it out, or send false.")
    wanted = fields.get("response_format") or "json"
    found = _FORMATS.get(wanted)
    if found is None:
        raise InputError(f"The response_format is {shortened_value(wanted)}; it is {' or '.join(_FORMATS)}.")
    return found


def _as_json(text: str) -> bytes:
    return encode({"text": text})


def _as_text(text: str) -> bytes:
    return f"{text}\n".encode()


_FORMATS: Mapping[str, ResponseFormat] = {one: one for one in get_args(ResponseFormat)}
_WRITERS: Mapping[ResponseFormat, tuple[Callable[[str], bytes], bytes]] = {
    "json": (_as_json, JSON),
    "text": (_as_text, TEXT),
}
