"""One recipe becomes a model that is trained, made small, exported to ONNX, proven, registered and served.

Public names are loaded when they are first used, so that `import maas` is light and the runtime needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from maas.deferred_transformers import defer

if TYPE_CHECKING:
    from maas import lifecycle
    from maas.client import AsyncClient, Client
    from maas.config import RunConfig, compose
    from maas.explaining import explain
    from maas.fitting import fit
    from maas.opening import load
    from maas.runtime.bundle import Bundle
    from maas.runtime.kinds import register_kind

__version__ = "0.1.0"
__all__ = [
    "AsyncClient",
    "Bundle",
    "Client",
    "RunConfig",
    "compose",
    "explain",
    "fit",
    "lifecycle",
    "load",
    "register_kind",
]

_WHERE = {
    "AsyncClient": "maas.client",
    "Bundle": "maas.runtime.bundle",
    "Client": "maas.client",
    "RunConfig": "maas.config",
    "compose": "maas.config",
    "explain": "maas.explaining",
    "fit": "maas.fitting",
    "load": "maas.opening",
    "register_kind": "maas.runtime.kinds",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'maas' has no attribute {name!r}; it has {', '.join(__all__)}")
    try:
        return import_module("maas.lifecycle") if name == "lifecycle" else getattr(import_module(_WHERE[name]), name)
    except ModuleNotFoundError as error:
        extras = "client" if _WHERE.get(name) == "maas.client" else "train,registry"
        message = f"{error.name} is not installed. In a checkout of maas: pip install '.[{extras}]'"
        raise ModuleNotFoundError(message, name=error.name) from error


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


defer()
