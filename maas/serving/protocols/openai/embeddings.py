"""OpenAI's embeddings. Its lists of models are the common ones of `models.py`.

Texts go in, not tokens: the model has a tokenizer of its own. `usage` counts the tokens that the model read.
Source: https://platform.openai.com/docs/api-reference/embeddings
"""

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from maas.errors import InputError
from maas.runtime.codec import Features, Outputs
from maas.runtime.postprocessors.embedding import EmbeddingPostprocessor
from maas.serving.call import Call, PreprocessedInputs, RowList, slices
from maas.serving.examples import example_text
from maas.serving.faults import UnreadableError, require_rows
from maas.serving.protocols.bodies import decode, encode, encoded_list
from maas.serving.protocols.openai.operations import OpenAiOperation
from maas.serving.protocols.operation_documents import Content, OperationDocument
from maas.serving.protocols.operations import AnyOperation, Inference, Rendered, Request
from maas.serving.protocols.parameters import MODEL_QUERY, chosen_deployment
from maas.serving.protocols.schemas import require_body_size, schema_like
from maas.serving.repository import PredictingDeployment, Snapshot

INLINE_BODY_BYTES = 2048
"""Of texts that are made tokens on the event loop; larger ones are by another process."""

EncodingFormat = Literal["float", "base64"]


class EmbeddingsRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request; `user` is known and not needed."""

    input: str | list[object]
    model: str | None = None
    encoding_format: EncodingFormat | None = None
    dimensions: int | None = None
    user: str | None = None


class EmbeddingsCall(Call, frozen=True, kw_only=True):
    """A call that wants vectors.

    Args:
        encoding_format: how each is written: as numbers, or as base64 of float32.
    """

    encoding_format: EncodingFormat = "float"


_DECODER = msgspec.json.Decoder(EmbeddingsRequest)


def embeddings_operations(snapshot: Snapshot) -> list[AnyOperation]:
    """Returns embeddings; documents show them where a model gives some."""
    return [EmbeddingsOperation(is_documented=bool(_embedding_models(snapshot)))]


class EmbeddingsOperation(OpenAiOperation, Inference[EmbeddingsCall]):
    """A vector for each text."""

    call_type = EmbeddingsCall
    path = "/v1/embeddings"
    summary = "Answers texts with OpenAI's embeddings."

    def is_large(self, request: Request, snapshot: Snapshot) -> bool:
        """Whether texts are made tokens by another process."""
        return len(request.body) > INLINE_BODY_BYTES

    def parse(self, request: Request, snapshot: Snapshot) -> EmbeddingsCall:
        """Returns a call with the texts as tokens, as their number is part of the reply."""
        models = _embedding_models(snapshot)
        default = models[0] if models else snapshot.first
        require_body_size(request.body, (default,))
        try:
            body = decode(_DECODER, request.body)
        except UnreadableError as error:
            raise UnreadableError(f"{error} like {example_text(_example(default))}") from None
        deployment, wanted = chosen_deployment(request, snapshot, default, body.model, None)
        _require_embeddings(deployment, models)
        _require_dimensions(body.dimensions, deployment)
        texts = [body.input] if isinstance(body.input, str) else body.input
        _refuse_tokens(texts)
        return EmbeddingsCall(
            model=deployment.name,
            version=wanted,
            inputs=self._inputs(texts, request, snapshot, deployment),
            size_bytes=len(request.body),
            encoding_format=body.encoding_format or "float",
        )

    def render(self, call: EmbeddingsCall, deployment: PredictingDeployment, outputs: Outputs) -> Rendered:
        """Returns the vectors with their numbers, and how many tokens were read."""
        tokens = sum(map(_tokens, call.inputs.features)) if isinstance(call.inputs, PreprocessedInputs) else 0
        written = _WRITERS[call.encoding_format]
        vectors = (written(deployment.postprocessor.scores(part)) for part in slices(outputs))
        return Rendered(_embeddings(vectors, deployment.name, tokens))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns schemas and examples of the first model that gives embeddings."""
        models = _embedding_models(snapshot)
        first, text = models[0], models[0].processor.row_schema
        inputs = PreprocessedInputs(first.processor.preprocess(first.bundle.golden.inputs[:1]))
        call = EmbeddingsCall(model=first.name, inputs=inputs, size_bytes=0)
        reply = msgspec.json.decode(b"".join(self.render(call, first, first.example_outputs).parts))
        schema = {
            "type": "object",
            "required": ["input"],
            "properties": {
                "input": {"anyOf": [text, {"type": "array", "minItems": 1, "items": text}]},
                "model": {"type": ["string", "null"]},
                "encoding_format": {"type": ["string", "null"], "enum": ["float", "base64", None]},
                "dimensions": {"type": ["integer", "null"], "enum": [*sorted(set(map(_width, models))), None]},
                "user": {"type": ["string", "null"]},
            },
            "additionalProperties": False,
        }
        return OperationDocument(
            Content(_reply_schema(reply), reply), Content(schema, _example(first)), query=MODEL_QUERY
        )

    def _inputs(
        self, texts: Sequence[object], request: Request, snapshot: Snapshot, deployment: PredictingDeployment
    ) -> RowList | PreprocessedInputs:
        """Returns the texts, as tokens unless the process that reads large requests does that."""
        if self.is_large(request, snapshot):
            return RowList(texts)
        require_rows(len(texts), deployment.engine.max_rows)
        return PreprocessedInputs(deployment.processor.preprocess(texts))


def _embedding_models(snapshot: Snapshot) -> list[PredictingDeployment]:
    return [one for one in snapshot.predicting if _gives_embeddings(one)]


def _gives_embeddings(deployment: PredictingDeployment) -> bool:
    return isinstance(deployment.postprocessor, EmbeddingPostprocessor) and deployment.processor.modality == "text"


def _require_embeddings(deployment: PredictingDeployment, models: Iterable[PredictingDeployment]) -> None:
    if not _gives_embeddings(deployment):
        known = ", ".join(dict.fromkeys(one.name for one in models)) or "none is served here"
        raise InputError(
            f"Model {deployment.name!r} is for {deployment.task}, and gives no embeddings of texts; name one that "
            f"does: {known}."
        )


def _require_dimensions(dimensions: int | None, deployment: PredictingDeployment) -> None:
    if dimensions not in (None, _width(deployment)):
        raise InputError(
            f"The request wants {dimensions} dimensions; the vectors of model {deployment.name!r} have "
            f"{_width(deployment)}. Leave dimensions out."
        )


def _refuse_tokens(texts: Sequence[object]) -> None:
    if texts and isinstance(texts[0], int | list):
        raise InputError(
            "The input holds numbers of tokens, whose tokenizer this model does not share; send texts (LangChain: "
            "OpenAIEmbeddings(check_embedding_ctx_length=False))."
        )


def _width(deployment: PredictingDeployment) -> int:
    return deployment.signature.outputs[0].shape[-1]


def _tokens(features: Features) -> int:
    return max(int(array.shape[-1]) for array in features.values())


def _as_numbers(vectors: NDArray[np.generic]) -> list[object]:
    values: list[object] = vectors.tolist()
    return values


def _as_base64(vectors: NDArray[np.generic]) -> list[object]:
    return [base64.b64encode(vector.astype("<f4").tobytes()).decode() for vector in vectors]


_WRITERS: dict[EncodingFormat, Callable[[NDArray[np.generic]], list[object]]] = {
    "float": _as_numbers,
    "base64": _as_base64,
}


def _embeddings(parts: Iterator[list[object]], model: str, tokens: int) -> Iterator[bytes]:
    yield b'{"object":"list","data":'
    yield from encoded_list(_numbered(parts))
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    yield b"," + encode({"model": model, "usage": usage})[1:]


def _numbered(parts: Iterator[list[object]]) -> Iterator[list[object]]:
    start = 0
    for part in parts:
        yield [{"object": "embedding", "index": index, "embedding": one} for index, one in enumerate(part, start)]
        start += len(part)


def _reply_schema(reply: Mapping[str, object]) -> dict[str, object]:
    """Returns the schema of a reply, whose vectors may be base64."""
    numbers = {"type": "array", "items": {"type": "number"}}
    embedding = {"anyOf": [numbers, {"type": "string", "format": "byte", "description": "base64 of float32"}]}
    properties = {"object": {"type": "string"}, "index": {"type": "integer"}, "embedding": embedding}
    data = {"type": "array", "items": {"type": "object", "required": list(properties), "properties": properties}}
    schema = schema_like(reply)
    return {**schema, "properties": {name: schema_like(value) for name, value in reply.items()} | {"data": data}}


def _example(deployment: PredictingDeployment) -> dict[str, object]:
    return {"input": deployment.bundle.golden.inputs[0], "model": deployment.name}
