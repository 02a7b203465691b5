"""One MLflow database for all tests of this folder: laying it out takes seconds."""

import pytest

from maas.registry.connection import connected
from maas.registry.store import Store


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """Its folder."""
    folder = tmp_path_factory.mktemp("registry")
    connected(f"sqlite:///{folder / 'mlflow.db'}")
    return folder


@pytest.fixture
def store(place) -> Store:
    return Store(f"sqlite:///{place / 'mlflow.db'}", artifacts=str(place / "mlartifacts"))
