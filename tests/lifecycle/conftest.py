"""One run of the whole line in small, shared by the tests of this folder."""

from pathlib import Path

import pytest

import maas
from maas.lifecycle import Line

SMALL = ("trainer.max_epochs=4",)


def small_config(folder: Path, *overrides: str) -> maas.RunConfig:
    """Returns the digits recipe with everything below `folder`."""
    places = (
        f"runs_dir={folder / 'runs'}",
        f"registry.tracking_uri=sqlite:///{folder / 'mlflow.db'}",
        f"registry.artifacts={folder / 'mlartifacts'}",
    )
    return maas.compose("digits_mlp", *SMALL, *places, *overrides)


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> maas.RunConfig:
    return small_config(tmp_path_factory.mktemp("line"))


@pytest.fixture(scope="session")
def line(config: maas.RunConfig) -> Line:
    return maas.lifecycle.run(config)
