"""OpenAI's transcriptions: a sound as a file of a multipart form, its text as JSON, as it is, or as subtitles.

Source: https://platform.openai.com/docs/api-reference/audio/createTranscription
"""

from collections.abc import Mapping

from maas.errors import InputError, shortened_value
from maas.runtime.codec import Outputs
from maas.runtime.postprocessors.translation import SPOKEN_TEXT
from maas.serving.call import Call, Row, RowList
from maas.serving.protocols.bodies import LARGE_FILE_BYTES
from maas.serving.protocols.forms import FORM, Form, form_of
from maas.serving.protocols.openai.operations import OpenAiOperation
from maas.serving.protocols.openai.transcripts import (
    PLAIN_FORMATS,
    TRANSCRIPT_FORMATS,
    ResponseFormat,
    written_transcript,
)
from maas.serving.protocols.operation_documents import Content, JsonSchema, OperationDocument
from maas.serving.protocols.operations import AnyOperation, Inference, Rendered, Request
from maas.serving.protocols.parameters import MODEL_QUERY, chosen_deployment
from maas.serving.protocols.schemas import schema_like
from maas.serving.repository import PredictingDeployment, Snapshot

FILE, GRANULARITIES = "file", "timestamp_granularities[]"
GREEDY = ("", "0", "0.0")
"""Temperatures of the likeliest text, which is what a model gives."""
UNSTREAMED = ("", "false", "False")
KNOWN = ("model", "response_format", "temperature", "stream")


class TranscriptionCall(Call, frozen=True, kw_only=True):
    """A call that wants the text of one sound.

    Args:
        response_format: as a JSON object, the text alone, or with times.
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
            inputs=RowList([_row(form, deployment)]),
            size_bytes=len(request.body),
            response_format=_response_format(form.texts, deployment),
        )

    def render(self, call: TranscriptionCall, deployment: PredictingDeployment, outputs: Outputs) -> Rendered:
        """Returns the text, as JSON or alone."""
        (prediction,) = deployment.postprocessor.predictions(outputs)
        body, media_type = written_transcript(prediction["text"], outputs, call.response_format)
        return Rendered(iter((body,)), media_type)

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns schemas and examples of the first model that transcribes."""
        first = transcribing(snapshot)[0]
        reply = {"text": first.bundle.golden.predictions[0]["text"]}
        properties: JsonSchema = {
            FILE: {"type": "string", "format": "binary", "description": "a WAV, FLAC or Ogg file"},
            "model": {"type": "string"},
            "response_format": {"type": "string", "enum": list(_formats_of(first))},
            **first.processor.row_key_schemas,
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


def _row(form: Form, deployment: PredictingDeployment) -> Row:
    """Returns the sound, with what is wanted of the search for its text.

    Raises:
        InputError: a field is not done by the model.
    """
    timed = (GRANULARITIES,) if _says_when(deployment) else ()
    sound, known = _sound(form), (*KNOWN, *timed, *deployment.processor.row_keys)
    if unknown := sorted(name for name in form.texts if name not in known):
        raise InputError(f"The field {shortened_value(unknown[0], '')} is not done here: leave it out.")
    wanted = {key: text for key in deployment.processor.row_keys if (text := form.texts.get(key))}
    numbers = {key: int(text) for key, text in wanted.items() if text.isascii() and text.isdecimal() and len(text) < 10}
    return {deployment.processor.input_name: sound, **wanted, **numbers} if wanted else sound


def _response_format(fields: Mapping[str, str], deployment: PredictingDeployment) -> ResponseFormat:
    """Returns the form of the reply.

    Raises:
        InputError: there is no such form, or a field is not done here.
    """
    if fields.get("temperature", "") not in GREEDY:
        raise InputError(
            "The field temperature is not done here: the likeliest text is given. Leave it out, or send 0."
        )
    if fields.get("stream", "") not in UNSTREAMED:
        raise InputError("The field stream is not done here: the text is given whole. Leave it out, or send false.")
    wanted, formats = fields.get("response_format") or "json", _formats_of(deployment)
    found = next((one for one in formats if one == wanted), None)
    if found is None:
        *others, last = formats
        raise InputError(f"The response_format is {shortened_value(wanted)}; it is {', '.join(others)} or {last}.")
    if fields.get(GRANULARITIES, "segment") != "segment":
        raise InputError(
            f"The field {GRANULARITIES} is not done here but for segment: words have no times of their own."
        )
    if GRANULARITIES in fields and found != "verbose_json":
        raise InputError(f"The field {GRANULARITIES} needs response_format verbose_json. Set it, or leave it out.")
    return found


def _formats_of(deployment: PredictingDeployment) -> tuple[ResponseFormat, ...]:
    return TRANSCRIPT_FORMATS if _says_when(deployment) else PLAIN_FORMATS


def _says_when(deployment: PredictingDeployment) -> bool:
    return bool(getattr(deployment.postprocessor, "has_times", False))
