"""One run of the whole line in small, shared by the tests of this folder."""

import logging
import sys
from collections.abc import Callable, Iterator
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


@pytest.fixture
def entered(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., object]]:
    """Enters a command in this process: `entered(maas.run.main, "recipe=…")` gives status, output and errors."""
    logger = logging.getLogger("maas")
    before = (list(logger.handlers), logger.level, logger.propagate)

    def enter(main: Callable[[], None], *arguments: str) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["maas", *arguments])
        status: object = 0
        try:
            main()
        except SystemExit as ending:
            status = ending.code
        return status, *capsys.readouterr()

    yield enter
    logger.handlers, logger.propagate = before[0], before[2]
    logger.setLevel(before[1])
