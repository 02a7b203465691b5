"""One OpenAPI document for all protocols: valid, plain enough for generators, and what it says is so.

More than 30,000 generated requests and queries, others with another seed (19 unless it is set), are sent by

    SCHEMATHESIS_SEED=20 python -m pytest -m slow -k "generated and not client" -o junit_family=xunit1 \\
        --junitxml cases.xml tests/contracts/test_openapi.py tests/contracts/test_graphql.py

The property `cases` of each test in `cases.xml` is how many it sent.
"""

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from maas.serving.repository import Repository
from maas.serving.transports.http import HttpApp

ROOT = Path(__file__).parents[2]
BUNDLES = ("array", "text", "combined", "gaps", "embedding", "image", "audio", "generating")
INEXACT = ("image", "audio", "combined", "generating")
"""A schema cannot say which base64 is a file, for which numbers outputs are finite, or how long a prompt is."""
SETTINGS = """
[checks]
negative_data_rejection.expected-statuses = [400, 404, 405, 413, 415]  # 413: too many rows

[[operations]]
include-path-regex = "^/v2/models/.*infer$"  # a schema cannot say that data has as many values as its shape
checks.positive_data_acceptance.enabled = false

[[operations]]
include-path-regex = "^/graphql$"  # nor that a text is a query
checks.positive_data_acceptance.enabled = false
"""


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
    assert len(set(names)) == len(names) >= 20
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)


def test_every_open_part_of_a_path_is_a_parameter(document):
    for (_, path), operation in operations(document).items():
        declared = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"]
        assert declared == re.findall(r"{(\w+)}", path)


def test_answers_are_described_in_each_form_that_they_come_in_when_a_model_generates(document):
    def answer(path: str) -> dict:
        return document["paths"][path]["post"]["responses"]["200"]["content"]

    if "/v2/models/{name}/generate" not in document["paths"]:
        assert "text/event-stream" not in json.dumps(document)
        return
    assert list(answer("/v2/models/{name}/generate")) == ["application/json"]
    assert list(answer("/v2/models/{name}/generate_stream")) == ["text/event-stream"]
    for path in ("/v1/chat/completions", "/v1/completions", "/v1/responses"):
        assert set(answer(path)) == {"application/json", "text/event-stream"}
    (record,) = answer("/v2/models/{name}/generate").values()
    assert "id" in record["schema"]["properties"]  # which only those have whose request has one
    assert record["schema"]["required"] == ["model_name", "model_version", "text_output"]


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
    arguments = ("--no-color", "--continue-on-failure", "--seed", os.environ.get("SCHEMATHESIS_SEED", "19"), *arguments)
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
def test_thousands_of_generated_requests_are_answered_as_the_document_says(bundles, tmp_path, record_property, name):
    """All models together have more than 10,000."""
    more = ("--exclude-checks", "positive_data_acceptance") if name in INEXACT else ()
    with served(bundles, (name,), tmp_path) as url:
        cases = requests_that_found_nothing(url, tmp_path, "--max-examples", "60", *more)
        record_property("cases", cases)
        assert cases > 1500
        assert httpx.get(f"{url}/v2/health/ready").status_code == 200


CALLS = """
import functools, importlib, json, sys, typing
sys.path.insert(0, sys.argv[2])
import made

def body_of(kind, example):
    # the alternative that has the keys of the example
    for one in (kind, *typing.get_args(kind)):
        try:
            return one.from_dict(example)
        except (AttributeError, KeyError):
            pass
    return example

document = json.load(open(sys.argv[3]))
called = []
for path, methods in document["paths"].items():
    for operation in methods.values():
        name, tag = operation["operationId"], operation["tags"][0]
        declared = operation.get("parameters", ())
        arguments = {one["name"]: one["example"] for one in declared if one["required"]}
        method = CALLED
        if "requestBody" in operation:
            hints = typing.get_type_hints(method)
            known = {"client", "return", *(one["name"] for one in declared)}
            parameter = next(key for key in hints if key not in known and not key.startswith("_"))
            example = operation["requestBody"]["content"]["application/json"]["example"]
            arguments[parameter] = body_of(hints[parameter], example)
        reply = method(**arguments, **MORE)
        assert reply.status_code == 200, (name, reply)
        called.append(name)
print(json.dumps(called))
"""


class Generator(NamedTuple):
    """What makes a client of a document.

    Args:
        packages: that are installed for it and for its client.
        command: that makes the client `made` in the folder OUT of the document IN.
        method: expression of the method of an operation.
        more: expression of its other arguments.
    """

    packages: tuple[str, ...]
    command: str
    method: str
    more: str


GENERATORS = {
    "openapi-python-client": Generator(
        ("openapi-python-client==0.29.1",),
        "openapi-python-client generate --path IN --meta none --output-path OUT/made",
        'importlib.import_module(f"made.api.{tag}.{name}").sync_detailed',
        '{"client": made.Client(sys.argv[1])}',
    ),
    "openapi-generator": Generator(
        ("openapi-generator-cli==7.26.0", "pydantic", "python-dateutil", "typing-extensions", "urllib3"),
        "openapi-generator-cli generate -g python -i IN -o OUT --package-name made",
        'getattr(getattr(made, "".join(map(str.title, tag.split("_"))) + "Api")('
        'made.ApiClient(made.Configuration(host=sys.argv[1]))), f"{name}_with_http_info")',
        "{}",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", GENERATORS)
def test_generated_client_calls_every_route(bundles, tmp_path, name):
    generator, programs = GENERATORS[name], tmp_path / "environment/bin"
    subprocess.run([sys.executable, "-m", "venv", programs.parent], check=True)
    subprocess.run([programs / "pip", "install", "--quiet", *generator.packages], check=True)
    calls = tmp_path / "calls.py"
    calls.write_text(CALLS.replace("CALLED", generator.method).replace("MORE", generator.more))
    with served(bundles, ("array", "text", "gaps", "embedding"), tmp_path) as url:
        document = tmp_path / "openapi.json"
        document.write_bytes(httpx.get(f"{url}/openapi.json").content)
        command = generator.command.replace("IN", str(document)).replace("OUT", str(tmp_path)).split()
        command[0] = str(programs / command[0])
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stdout[-5000:]
        assert "WARNING parsing" not in made.stdout, made.stdout[-5000:]
        run = subprocess.run(
            [programs / "python", calls, url, tmp_path, document], capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
    routes = operations(json.loads(document.read_text())).values()
    assert json.loads(run.stdout) == [one["operationId"] for one in routes]
