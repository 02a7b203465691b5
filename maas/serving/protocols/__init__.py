"""Protocols that clients speak: one protocol, one file or one room; `NAME_operations(snapshot)` lists its operations.

A protocol parses a request into a call and renders outputs into a reply; it decides nothing else, and captures nothing
of what is served. Most are imported by the first request whose path begins as one of theirs: a server that nobody sends
GraphQL need not start with it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import NamedTuple, TypeAlias

from maas.serving.protocols.health import health_operations
from maas.serving.protocols.operations import AnyOperation
from maas.serving.protocols.predictions import predictions_operations
from maas.serving.protocols.rest import rest_operations
from maas.serving.repository import Snapshot
from maas.serving.routing import OperationSource

OperationsMaker: TypeAlias = Callable[[Snapshot], Sequence[AnyOperation]]


class Protocol(NamedTuple):
    """The operations of a protocol, or some of them.

    Args:
        make: returns them.
        paths: where they are; `/v2/*` stands for all that begin with `/v2/`.
        is_for_texts: whether it is there where all models generate texts.
    """

    make: OperationsMaker
    paths: tuple[str, ...]
    is_for_texts: bool = False


def _imported(module: str, function: str, *paths: str, is_for_texts: bool = False) -> Protocol:
    """Returns operations that a function of a module of `maas.serving` lists; it is imported when they are wanted."""

    def make(snapshot: Snapshot) -> Sequence[AnyOperation]:
        operations: OperationsMaker = getattr(import_module(f"maas.serving.{module}"), function)
        return operations(snapshot)

    return Protocol(make, paths, is_for_texts)


PROTOCOLS = (
    Protocol(health_operations, ("/healthz", "/livez", "/readyz"), is_for_texts=True),
    Protocol(rest_operations, ("/v1/*", "/predict")),
    Protocol(predictions_operations, ("/v1/predictions", "/v1/scores")),
    _imported("protocols.explanations", "explanations_operations", "/v1/explanations", is_for_texts=True),
    _imported("protocols.row_schemas", "row_schemas_operations", "/v1/schema", is_for_texts=True),
    _imported("protocols.models", "models_operations", "/v1/models", "/v1/models/*", is_for_texts=True),
    _imported(
        "protocols.open_inference.pages",
        "v2_pages_operations",
        "/v2",
        "/v2/health/*",
        "/v2/models/*",
        is_for_texts=True,
    ),
    _imported("protocols.open_inference.rest", "v2_operations", "/v2/models/*", "/v2/repository/*"),
    _imported("protocols.tensorflow_serving.rest", "tf_serving_operations", "/v1/models/*"),
    _imported("protocols.mlflow", "mlflow_operations", "/ping", "/health", "/version", "/invocations"),
    _imported("protocols.openai.embeddings", "embeddings_operations", "/v1/embeddings"),
    _imported("protocols.openai.audio", "audio_operations", "/v1/audio/*"),
    _imported("protocols.openai.chat", "chat_operations", "/v1/chat/*", is_for_texts=True),
    _imported("protocols.openai.completions", "completions_operations", "/v1/completions", is_for_texts=True),
    _imported("protocols.openai.responses", "responses_operations", "/v1/responses", is_for_texts=True),
    _imported("protocols.open_inference.generate", "generate_operations", "/v2/models/*", is_for_texts=True),
    _imported("protocols.graphql.operations", "graphql_operations", "/graphql"),
    _imported("page.static_files", "page_operations", "/", "/page/*", is_for_texts=True),
)


def sources_of(snapshot: Snapshot) -> list[OperationSource]:
    """Returns where the operations of every protocol come from for the models of a snapshot, and those of the page.

    Where all models generate texts, those that predict are left out.
    """
    is_for_texts = bool(snapshot.generating and not snapshot.predicting)
    return [
        OperationSource(one.paths, partial(one.make, snapshot))
        for one in PROTOCOLS
        if one.is_for_texts or not is_for_texts
    ]
