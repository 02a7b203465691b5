"""One OpenAPI document for all protocols: valid, plain enough for generators, and what it says is so."""

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from maas.serving.repository import Repository
from maas.serving.transports.http import HttpApp

ROOT = Path(__file__).parents[2]
BUNDLES = ("array", "text", "combined", "gaps", "embedding", "image", "audio")
FILES = ("image", "audio")
"""A schema cannot say which base64 is a picture, so requests that it allows may be refused."""
SETTINGS = """
[checks]
negative_data_rejection.expected-statuses = [400, 404, 405, 413, 415]  # 413: too many rows

[[operations]]
include-path-regex = "^/v2/models/.*infer$"  # a schema cannot say that data has as many values as its shape
checks.positive_data_acceptance.enabled = false
"""
GENERATOR = "openapi-python-client==0.29.1"


@pytest.fixture(scope="module", params=[*BUNDLES, "all"])
def document(request, bundles, tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("bundles")
    repository = Repository()
    for name in BUNDLES if request.param == "all" else (request.param,):
        repository.open(getattr(bundles, f"{name}_bundle")(folder / name))

    async def asked() -> dict:
        transport = httpx.ASGITransport(HttpApp(repository))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return (await client.get("/openapi.json")).json()

    return asyncio.run(asked())


def operations(document: dict) -> dict[tuple[str, str], dict]:
    return {
        (method, path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def objects(value: object, path: str = "") -> Iterator[tuple[str, dict]]:
    """Every object of a document with its path, less those of examples."""
    if isinstance(value, dict):
        yield path, value
        for name, one in value.items():
            if name not in ("example", "enum"):
                yield from objects(one, f"{path}/{name}")
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from objects(one, f"{path}/{index}")


def test_document_is_valid(document):
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_schemas_are_plain_enough_for_generators(document):
    schemas = [(path, one) for path, one in objects(document) if not path.endswith("/properties")]
    assert not [path for path, one in schemas if "const" in one and "type" not in one]
    arrays = [(path, one) for path, one in schemas if "array" in (one.get("type"), *one.get("type", ())[:1])]
    assert len(arrays) > 10
    assert not [path for path, one in arrays if "items" not in one and "prefixItems" not in one]


def test_names_of_operations_are_words_and_differ(document):
    names = [operation["operationId"] for operation in operations(document).values()]
    assert len(set(names)) == len(names) > 20
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)


def test_every_open_part_of_a_path_is_a_parameter(document):
    for (_, path), operation in operations(document).items():
        declared = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"]
        assert declared == re.findall(r"{(\w+)}", path)


@contextlib.contextmanager
def served(bundles, names: tuple[str, ...], folder: Path) -> Iterator[str]:
    models = [f"model={getattr(bundles, f'{name}_bundle')(folder / name)}" for name in names]
    command = [sys.executable, "-m", "maas.serve", "port=0", *models]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield re.search(r"http://\S+?:\d+", process.stdout.readline())[0]
        finally:
            process.terminate()


def requests_that_found_nothing(url: str, folder: Path, *arguments: str) -> int:
    """Sends generated requests to all routes, and returns how many.

    Raises:
        AssertionError: a check found something.
    """
    (folder / "schemathesis.toml").write_text(SETTINGS)
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(folder / "schemathesis.toml"), "run"]
    arguments = ("--no-color", "--continue-on-failure", "--seed", "19", *arguments)
    command += [f"{url}/openapi.json", *arguments]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-5_000:]
    return int(re.search(r"Test cases:\s+([\d,]+)", run.stdout)[1].replace(",", ""))


def test_generated_requests_are_answered_as_the_document_says(bundles, tmp_path):
    with served(bundles, ("gaps",), tmp_path) as url:
        phases = ("--phases", "examples,fuzzing", "--max-examples", "3")
        assert requests_that_found_nothing(url, tmp_path, *phases) > 50
        assert httpx.get(f"{url}/v2/health/ready").status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("name", BUNDLES)
def test_thousands_of_generated_requests_are_answered_as_the_document_says(bundles, tmp_path, name):
    """All models together have more than 10,000."""
    more = ("--exclude-checks", "positive_data_acceptance") if name in FILES else ()
    with served(bundles, (name,), tmp_path) as url:
        assert requests_that_found_nothing(url, tmp_path, "--max-examples", "60", *more) > 1500
        assert httpx.get(f"{url}/v2/health/ready").status_code == 200


CALLS = """
import importlib, json, pkgutil, sys
sys.path.insert(0, sys.argv[2])
import generated.api
from generated import Client

document = json.load(open(sys.argv[3]))
client = Client(sys.argv[1])
called = []
for path, methods in document["paths"].items():
    for method, operation in methods.items():
        name = operation["operationId"]
        module = importlib.import_module(f"generated.api.{operation['tags'][0]}.{name}")
        values = {one["name"]: one["example"] for one in operation.get("parameters", ()) if one["in"] == "path"}
        arguments = dict(values)
        if "requestBody" in operation:
            example = operation["requestBody"]["content"]["application/json"]["example"]
            kind = module.sync_detailed.__annotations__["body"]
            kinds = importlib.import_module("generated.models")
            body = next(one for one in vars(kinds).values() if getattr(one, "__name__", "") in str(kind).split(" | "))
            arguments["body"] = body.from_dict(example)
        reply = module.sync_detailed(client=client, **arguments)
        assert reply.status_code == 200, (name, reply)
        called.append(name)
print(json.dumps(called))
"""


@pytest.mark.slow
def test_generated_client_calls_every_route(bundles, tmp_path):
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    subprocess.run([environment / "bin/pip", "install", "--quiet", GENERATOR], check=True)
    (tmp_path / "calls.py").write_text(CALLS)
    with served(bundles, ("array", "text", "gaps", "embedding"), tmp_path) as url:
        document = tmp_path / "openapi.json"
        document.write_bytes(httpx.get(f"{url}/openapi.json").content)
        generate = [environment / "bin/openapi-python-client", "generate", "--path", document, "--meta", "none"]
        generate += ["--output-path", tmp_path / "generated"]
        made = subprocess.run(generate, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stdout[-5000:]
        assert "parsing" not in made.stdout, made.stdout[-5000:]
        calls = [environment / "bin/python", tmp_path / "calls.py", url, tmp_path, document]
        run = subprocess.run(calls, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
    routes = operations(json.loads(document.read_text())).values()
    assert json.loads(run.stdout) == [one["operationId"] for one in routes]
