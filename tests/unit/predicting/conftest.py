"""Bundles whose rows lie in files, and what `maas predict` makes of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maas.command_line import CommandLine
from maas.predicting.command import PredictCommand
from maas.predicting.predicting import PredictedFile, predict_file
from maas.runtime.bundle import Bundle


@pytest.fixture(scope="session")
def table_model(serving_bundles, tmp_path_factory) -> Bundle:
    """Sums two numbers and the position of a category; batches of 8."""
    return Bundle.open(serving_bundles.table_bundle(tmp_path_factory.mktemp("models") / "sums"))


@pytest.fixture(scope="session")
def text_model(serving_bundles, tmp_path_factory) -> Bundle:
    """Two labels of texts."""
    return Bundle.open(serving_bundles.text_bundle(tmp_path_factory.mktemp("models") / "sentiment"))


@pytest.fixture(scope="session")
def predict() -> Callable[..., PredictedFile]:
    """`predict(bundle, source, out, *words)` as the command does it, in this process."""

    def run(bundle: Bundle, source: Path, out: Path, *words: str) -> PredictedFile:
        line = CommandLine.parse("predict", [str(bundle.folder), str(source), str(out), *words])
        return predict_file(bundle, PredictCommand.of(line), lambda done, size: None)

    return run


@pytest.fixture(scope="session")
def reasons() -> Callable[[Path], dict[int, str]]:
    """`reasons(out)`: what the report of a file says, by the number of the row."""

    def read(out: Path) -> dict[int, str]:
        lines = out.with_name(f"{out.name}.errors.jsonl").read_text(encoding="utf-8").splitlines()
        found: list[dict[str, Any]] = [json.loads(line) for line in lines]
        return {one["row"]: one["reason"] for one in found}

    return read
