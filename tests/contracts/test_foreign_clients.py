"""Clients that were written for other servers, each in an environment of its own, as they cannot all share one.

They send 200 rows of numbers, of texts and of a table, and get what the bundle predicts.
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from maas.runtime.bundle import Bundle

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent / "clients"
ROWS = 200
MODELS = {"numbers": "digits", "texts": "sentiment", "table": "sums"}
"""The model of each kind of rows."""


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
            "predictions": array.predict(numbers),
        },
        "texts": {
            "rows": texts,
            "scores": text.predictor.scores(texts).tolist(),
            "predictions": text.predict(texts),
        },
        "table": {
            "rows": table,
            "values": [one["value"] for one in rows.predict(table)],
            "predictions": rows.predict(table),
        },
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


@pytest.mark.parametrize(("script", "transport"), [("graphql_gql", 0), ("triton_grpc", 1)])
def test_client_of_this_environment_gets_what_the_bundle_predicts(addresses, known, script, transport):
    command = [sys.executable, HERE / f"{script}.py", addresses[transport], known]
    assert subprocess.check_output(command, text=True) == f"{ROWS} {ROWS} {ROWS}\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "packages"),
    [
        ("mlserver_codecs", ("mlserver==1.7.1",)),
        ("kserve_sdk", ("kserve==0.21.0",)),
        ("kserve_v1", ("kserve==0.21.0",)),
        ("tf_serving_grpc", ("tensorflow-serving-api==2.21.0",)),
    ],
)
def test_client_gets_what_the_bundle_predicts_when_it_is_unmodified(addresses, known, tmp_path, script, packages):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    subprocess.run([tmp_path / "venv/bin/pip", "install", "--quiet", *packages], check=True)
    command = [tmp_path / "venv/bin/python", HERE / f"{script}.py", addresses[0], known, addresses[1]]
    assert subprocess.check_output(command, text=True) == f"{ROWS} {ROWS} {ROWS}\n"


def java(url: str, bodies: list[bytes], folder: Path) -> list[str]:
    (folder / "bodies").write_bytes(b"\n".join(bodies))
    return output_of("java", HERE / "JavaClient.java", url, folder / "bodies").splitlines()


def curl(url: str, bodies: list[bytes], folder: Path, *options: str) -> tuple[list[str], int]:
    """Posts with one process of curl, and returns the replies and the number of connections that it made."""
    requests = []
    for number, body in enumerate(bodies):
        (folder / f"{number}").write_bytes(body)
        written = r'write-out = "\n%{http_code} %{num_connects}\n"'
        requests.append("\n".join([f'url = "{url}"', f'data-binary = "@{folder / str(number)}"', written, *options]))
    (folder / "curl").write_text("\nnext\n".join(requests))
    lines = output_of("curl", "--silent", "--show-error", "--config", folder / "curl").splitlines()
    figures = [line.split() for line in lines[1::2]]
    assert {status for status, _ in figures} == {"200"}, lines
    return lines[::2], sum(int(connects) for _, connects in figures)


def curl_http2(url: str, bodies: list[bytes], folder: Path) -> list[str]:
    replies, connections = curl(url, bodies, folder, "http2")
    assert connections == 1
    return replies


def curl_http1_0(url: str, bodies: list[bytes], folder: Path) -> list[str]:
    replies, connections = curl(url, bodies, folder, "http1.0", 'header = "connection: keep-alive"')
    assert connections == 1
    return replies


def curl_in_chunks(url: str, bodies: list[bytes], folder: Path) -> list[str]:
    chunked = ('header = "transfer-encoding: chunked"', 'header = "expect: 100-continue"', "compressed")
    return curl(url, bodies, folder, *chunked)[0]


def wget(url: str, bodies: list[bytes], folder: Path) -> list[str]:
    replies = []
    for body in bodies:
        (folder / "body").write_bytes(body)
        replies.append(output_of("wget", "--quiet", "--output-document=-", f"--post-file={folder / 'body'}", url))
    return replies


def output_of(*command: str | Path) -> str:
    return subprocess.check_output(command, text=True, timeout=120)


PROGRAMS = {
    "java": java,
    "curl": curl_http2,
    "curl http1.0": curl_http1_0,
    "curl in chunks": curl_in_chunks,
    "wget": wget,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_gets_what_the_bundle_predicts_when_it_sends_rows_alone_and_together(addresses, known, tmp_path, name):
    if shutil.which(name.partition(" ")[0]) is None:
        pytest.skip(f"{name} is not installed; make system installs it")
    content = json.loads(known.read_text(encoding="utf-8"))
    asked = [(kind, [row]) for kind in MODELS for row in content[kind]["rows"] if name != "wget"]
    asked += [(kind, content[kind]["rows"]) for kind in MODELS]
    bodies = [json.dumps({"model": MODELS[kind], "inputs": rows}).encode() for kind, rows in asked]
    replies = PROGRAMS[name](f"{addresses[0]}/v1/predictions", bodies, tmp_path)
    found = [one for reply in replies for one in json.loads(reply)["predictions"]]
    expected = [approximately(one) for kind in MODELS for one in content[kind]["predictions"]]
    assert found == expected * (1 if name == "wget" else 2)


def approximately(prediction: dict) -> dict:
    """Returns what equals a prediction whose numbers are the same but for how rows shared batches."""
    return {
        name: pytest.approx(value, rel=1e-6) if isinstance(value, float) else value
        for name, value in prediction.items()
    }
