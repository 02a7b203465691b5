"""Clients that were written for other servers, each in an environment of its own, as they cannot all share one.

They send 200 rows of numbers, of texts and of a table, and get what the bundle predicts.
"""

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from maas.runtime.bundle import Bundle

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent / "clients"
ROWS = 200


@pytest.fixture(scope="module")
def folders(bundles, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return {name: getattr(bundles, f"{name}_bundle")(folder / name) for name in ("array", "text", "table")}


@pytest.fixture(scope="module")
def known(folders, tmp_path_factory) -> Path:
    """A file of rows and what the bundles predict for them."""
    numbers = np.random.default_rng(0).integers(0, 17, (ROWS, 64)).tolist()
    draw = random.Random(0)
    texts = ["".join(draw.choices("abc 这是一个很棒的文本。", k=draw.randint(3, 40))) + "a" for _ in range(ROWS)]
    table = [{"price": None if at % 7 == 0 else at / 3, "area": at, "size": "SMLX"[at % 4]} for at in range(ROWS)]
    array, text, rows = (Bundle.open(folders[name]) for name in ("array", "text", "table"))
    content = {
        "numbers": {
            "rows": numbers,
            "scores": array.predictor.scores(numbers).tolist(),
            "labels": [one["label"] for one in array.predict(numbers)],
        },
        "texts": {"rows": texts, "scores": text.predictor.scores(texts).tolist()},
        "table": {"rows": table, "values": [one["value"] for one in rows.predict(table)]},
    }
    file = tmp_path_factory.mktemp("known") / "known.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def addresses(folders):
    """The server's URL, and its address for gRPC."""
    models = [f"model={folder}" for folder in folders.values()]
    command = [sys.executable, "-m", "maas.serve", "port=0", "grpc_port=0", *models]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            lines = [process.stdout.readline() for _ in range(4)]
            yield re.search(r"http://\S+?:\d+", lines[0])[0], re.fullmatch(r"gRPC: (\S+:\d+)\n", lines[3])[1]
        finally:
            process.terminate()


def test_tritons_grpc_client_gets_what_the_bundle_predicts_when_it_is_unmodified(addresses, known):
    command = [sys.executable, HERE / "triton_grpc.py", addresses[1], known]
    assert subprocess.check_output(command, text=True) == f"{ROWS} {ROWS} {ROWS}\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "packages"),
    [
        ("mlserver_codecs", ("mlserver==1.7.1",)),
        ("kserve_sdk", ("kserve==0.21.0",)),
        ("kserve_v1", ("kserve==0.21.0",)),
    ],
)
def test_client_gets_what_the_bundle_predicts_when_it_is_unmodified(addresses, known, tmp_path, script, packages):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    subprocess.run([tmp_path / "venv/bin/pip", "install", "--quiet", *packages], check=True)
    command = [tmp_path / "venv/bin/python", HERE / f"{script}.py", addresses[0], known, addresses[1]]
    assert subprocess.check_output(command, text=True) == f"{ROWS} {ROWS} {ROWS}\n"
