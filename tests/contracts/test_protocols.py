"""What every protocol keeps, over the files of maas/serving/protocols."""

import ast
import asyncio
import importlib
import importlib.util
import pkgutil
from pathlib import Path

import httpx
import jsonschema
import pytest

from maas.serving import protocols
from maas.serving.entries import LocatedEntry
from maas.serving.preprocessing.reader import InputReader
from maas.serving.protocols.open_inference.extensions import StatisticsPage
from maas.serving.protocols.operations import Explaining, Operation
from maas.serving.repository import Repository
from maas.serving.transports.http import HttpApp

FILES = {
    name: module
    for _, name, _ in pkgutil.iter_modules(protocols.__path__)
    if hasattr(module := importlib.import_module(f"{protocols.__name__}.{name}"), f"{name}_operations")
}
NAMES = sorted(FILES)


@pytest.fixture(scope="module", params=["array", "text", "image", "audio", "combined", "embedding", "multilabel"])
def repository(request, tmp_path_factory) -> Repository:
    source = Path(__file__).parents[1] / "unit/serving/bundles.py"
    spec = importlib.util.spec_from_file_location("serving_bundles", source)
    bundles = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bundles)
    repository = Repository()
    repository.open(getattr(bundles, f"{request.param}_bundle")(tmp_path_factory.mktemp("bundles") / request.param))
    return repository


def operations(name: str, repository: Repository) -> list[Operation]:
    return getattr(FILES[name], f"{name}_operations")(repository.snapshot)


def asked(repository: Repository, operation: Operation, content: bytes = b"", **settings) -> httpx.Response:
    path, first = operation.path, repository.snapshot.first
    for name, value in {"name": first.name, "version": first.version, "label": first.version}.items():
        path = path.replace("{" + name + "}", value)

    async def ask():
        reader = InputReader(1024)
        transport = httpx.ASGITransport(HttpApp(repository, max_body_bytes=2**20, reader=reader))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            response = await client.request(operation.method, path, content=content, **settings)
        await reader.close()
        return response

    return asyncio.run(ask())


@pytest.mark.parametrize("name", NAMES)
def test_documented_example_is_answered_as_documented(name, repository):
    for operation in (one for one in operations(name, repository) if one.is_documented):
        document = operation.document(repository.snapshot)
        if document.request is None:
            required = {one.name: one.required for one in document.query if one.required is not None}
            response = asked(repository, operation, params=required)
        else:
            jsonschema.validate(document.request.example, document.request.schema)
            content = httpx.Request("POST", "/", json=document.request.example).content
            response = asked(repository, operation, content)
        is_json = response.headers["content-type"].endswith("json")
        found = response.json() if is_json else response.text
        jsonschema.validate(found, document.response.schema)
        assert response.status_code == 200
        # examples of explanations are written beforehand, as their runs take time, and those of statistics count
        if not isinstance(operation, Explaining | StatisticsPage):
            assert found == document.response.example or approximately(found, document.response.example)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b"null", b'"a"', b"\xff", b"[" * 10_000])
def test_unreadable_body_is_the_callers_fault_in_the_protocols_form(name, repository, body):
    for operation in (one for one in operations(name, repository) if one.takes_body):
        response = asked(repository, operation, body)
        assert 400 <= response.status_code < 500
        assert set(response.json()) == set(operation.fault("invalid_json", "x"))


@pytest.mark.parametrize("name", NAMES)
def test_observers_have_a_name_for_the_protocol(name, repository):
    assert {operation.protocol for operation in operations(name, repository)} == {name}


@pytest.mark.parametrize("name", NAMES)
def test_protocol_knows_no_framework_and_no_runtime_session(name):
    tree = ast.parse(Path(FILES[name].__file__).read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not {module.partition(".")[0] for module in imported} & {
        "asyncio",
        "starlette",
        "uvicorn",
        "onnxruntime",
        "prometheus_client",
    }
    assert not {module for module in imported if module.startswith(("maas.serving.transports", "maas.serving.engines"))}
    assert ast.get_docstring(tree)


@pytest.mark.parametrize("name", NAMES)
def test_operations_answer_for_another_model_when_the_snapshot_is_swapped(name, tmp_path, bundles):
    """An operation captures nothing: made for one snapshot, it parses and describes for another of the same task."""
    repository = Repository()
    repository.open(bundles.array_bundle(tmp_path / "one"))
    made = operations(name, repository)
    two = bundles.array_bundle(tmp_path / "two", width=5, labels=3)
    asyncio.run(repository.swap(repository.slots[0], LocatedEntry.of_folder(two, name="digits", version="2")))
    fresh = operations(name, repository)
    assert [(one.method, one.path) for one in made] == [(one.method, one.path) for one in fresh]
    for old, new in ((old, new) for old, new in zip(made, fresh, strict=True) if old.is_documented):
        assert old.document(repository.snapshot) == new.document(repository.snapshot)


def approximately(found, expected) -> bool:
    """Compares numbers with a tolerance: golden predictions may have shared a batch."""
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(approximately(found[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(approximately, found, expected))
    return found == pytest.approx(expected, rel=1e-5) if isinstance(expected, float) else found == expected
