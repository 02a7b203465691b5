"""What a server imports when it first needs it, in one table; protocols have theirs in `maas.serving.protocols`."""

from typing import TYPE_CHECKING

from maas.later import imported_later

if TYPE_CHECKING:
    from importlib.metadata import PackageNotFoundError, version

    from prometheus_client import generate_latest

    from maas.registry.copies import keep_copy
    from maas.registry.reading.readers import reader_of
    from maas.serving.documentation import documentation
    from maas.serving.explainer import Explainer
    from maas.serving.generating import generated_reply
    from maas.serving.models_file import read_models_file
    from maas.serving.observers.prometheus import prometheus_registry
    from maas.serving.protocols.open_inference.repository import administration_operations
    from maas.serving.protocols.rollouts import rollout_operations
    from maas.serving.rollout.opening import open_rollouts
    from maas.serving.served_models import ServedModels, ServedSlot, UnloadedModel

_PLACES = {
    "Explainer": "maas.serving.explainer",
    "PackageNotFoundError": "importlib.metadata",
    "ServedModels": "maas.serving.served_models",
    "ServedSlot": "maas.serving.served_models",
    "UnloadedModel": "maas.serving.served_models",
    "administration_operations": "maas.serving.protocols.open_inference.repository",
    "documentation": "maas.serving.documentation",
    "generate_latest": "prometheus_client",
    "generated_reply": "maas.serving.generating",
    "keep_copy": "maas.registry.copies",
    "open_rollouts": "maas.serving.rollout.opening",
    "prometheus_registry": "maas.serving.observers.prometheus",
    "read_models_file": "maas.serving.models_file",
    "reader_of": "maas.registry.reading.readers",
    "rollout_operations": "maas.serving.protocols.rollouts",
    "version": "importlib.metadata",
}
__all__ = [
    "Explainer",
    "PackageNotFoundError",
    "ServedModels",
    "ServedSlot",
    "UnloadedModel",
    "administration_operations",
    "documentation",
    "generate_latest",
    "generated_reply",
    "keep_copy",
    "open_rollouts",
    "prometheus_registry",
    "read_models_file",
    "reader_of",
    "rollout_operations",
    "version",
]

__getattr__ = imported_later(__name__, _PLACES)
