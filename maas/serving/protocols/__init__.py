"""Protocols that clients speak: one protocol, one file or one room; `NAME_operations(snapshot)` lists its operations.

A protocol parses a request into a call and renders outputs into a reply; it decides nothing else, and captures nothing
of what is served.
"""

from maas.serving.page.static_files import page_operations
from maas.serving.protocols.explanations import explanations_operations
from maas.serving.protocols.graphql.operations import graphql_operations
from maas.serving.protocols.health import health_operations
from maas.serving.protocols.mlflow import mlflow_operations
from maas.serving.protocols.models import models_operations
from maas.serving.protocols.open_inference.generate import generate_operations
from maas.serving.protocols.open_inference.rest import v2_operations, v2_server_operations
from maas.serving.protocols.openai.audio import audio_operations
from maas.serving.protocols.openai.chat import ChatOperation
from maas.serving.protocols.openai.completions import CompletionsOperation
from maas.serving.protocols.openai.embeddings import embeddings_operations
from maas.serving.protocols.openai.responses import ResponsesOperation
from maas.serving.protocols.operations import AnyOperation
from maas.serving.protocols.predictions import predictions_operations
from maas.serving.protocols.rest import rest_operations
from maas.serving.protocols.row_schemas import row_schemas_operations
from maas.serving.protocols.tensorflow_serving.rest import tf_serving_operations
from maas.serving.repository import Snapshot


def generating_operations(snapshot: Snapshot) -> list[AnyOperation]:
    """Returns the operations that models generate texts for; documents show them where one is served."""
    is_documented = bool(snapshot.generating)
    kinds = (ChatOperation, CompletionsOperation, ResponsesOperation)
    generate = generate_operations(is_documented=is_documented)
    return [*(kind(is_documented=is_documented) for kind in kinds), *generate]


PROTOCOLS = (
    health_operations,
    rest_operations,
    predictions_operations,
    explanations_operations,
    row_schemas_operations,
    models_operations,
    v2_operations,
    tf_serving_operations,
    mlflow_operations,
    embeddings_operations,
    audio_operations,
    generating_operations,
    graphql_operations,
)


def operations_of(snapshot: Snapshot) -> list[AnyOperation]:
    """Returns the operations of every protocol for the models of a snapshot, and the page.

    Where all models generate texts, those that predict are left out.
    """
    if snapshot.generating and not snapshot.predicting:
        common = [*health_operations(snapshot), *models_operations(snapshot), *v2_server_operations()]
        shown = [*row_schemas_operations(snapshot), *page_operations(snapshot)]
        return [*common, *generating_operations(snapshot), *shown]
    return [operation for protocol in PROTOCOLS for operation in protocol(snapshot)] + [*page_operations(snapshot)]
