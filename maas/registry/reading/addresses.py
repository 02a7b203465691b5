"""Addresses of models in a registry, and the address of the registry itself. Nothing here reads one."""

import os
import re

import msgspec

MODELS = "models:/"
ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")
LOGGED = re.compile(r"models:/(?P<id>m-[0-9a-f]{32})")
"""A model that MLflow logged and nobody registered."""
EVERY = re.compile(r"models:/\*@(?P<alias>[^/@]+)")
"""Every model that has an alias."""
ABSENT = frozenset({"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"})
"""Codes of MLflow's errors that say that something is not there."""
COPIES_FOLLOWED = 16
"""The most copies of copies that are followed."""
NAMES_AT_ONCE = 200
"""Registered models that the registry names at a time."""


class LocatedModel(msgspec.Struct, frozen=True):
    """A model on this machine.

    Args:
        folder: folder of its bundle.
        name: name in the registry; null for a folder, whose manifest has the name.
        version: version in the registry.
    """

    folder: str
    name: str | None = None
    version: str = "1"


def default_tracking_uri() -> str:
    """`MLFLOW_TRACKING_URI`, or the local SQLite file that recipes use."""
    return os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"


def is_server(tracking_uri: str) -> bool:
    """Whether a registry is a tracking server, with a REST interface."""
    return tracking_uri.startswith(("http://", "https://"))
