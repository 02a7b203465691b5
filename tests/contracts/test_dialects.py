"""What every dialect keeps, over the files of maas/serving/dialects."""

import ast
import asyncio
import importlib
import importlib.util
import pkgutil
from pathlib import Path

import httpx
import jsonschema
import pytest

from maas.serving import dialects
from maas.serving.app import App
from maas.serving.dataplane import DataPlane
from maas.serving.routing import Route
from maas.serving.telemetry import Telemetry

NAMES = sorted(module.name for module in pkgutil.iter_modules(dialects.__path__))


@pytest.fixture(scope="module", params=["array", "text", "image", "audio"])
def plane(request, tmp_path_factory) -> DataPlane:
    source = Path(__file__).parents[1] / "unit/serving/bundles.py"
    spec = importlib.util.spec_from_file_location("serving_bundles", source)
    bundles = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bundles)
    plane = DataPlane()
    plane.load(getattr(bundles, f"{request.param}_bundle")(tmp_path_factory.mktemp("bundles") / request.param))
    return plane


def routes(name: str, plane: DataPlane) -> list[Route]:
    return importlib.import_module(f"{dialects.__name__}.{name}").routes(plane)


def asked(plane: DataPlane, method: str, route: Route, content: bytes = b"", **settings) -> httpx.Response:
    path = route.path
    for name, value in route.values:
        path = path.replace("{" + name + "}", value)

    async def ask():
        transport = httpx.ASGITransport(App(plane, Telemetry(), max_body_bytes=2**20))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, content=content, **settings)

    return asyncio.run(ask())


@pytest.mark.parametrize("name", NAMES)
def test_documented_example_is_answered_as_documented(name, plane):
    for route in routes(name, plane):
        if route.request is None:
            response = asked(plane, route.method, route)
        else:
            jsonschema.validate(route.request.example, route.request.schema)
            response = asked(plane, route.method, route, httpx.Request("POST", "/", json=route.request.example).content)
        jsonschema.validate(response.json(), route.response.schema)
        assert response.status_code == 200
        assert response.json() == route.response.example or approximately(response.json(), route.response.example)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b"null", b'"a"', b"\xff", b"[" * 10_000])
def test_unreadable_body_is_the_callers_fault_in_the_common_form(name, plane, body):
    for route in (route for route in routes(name, plane) if route.method == "POST"):
        response = asked(plane, "POST", route, body)
        assert 400 <= response.status_code < 500
        assert set(response.json()) == {"error", "code"}


@pytest.mark.parametrize("name", NAMES)
def test_dialect_knows_no_framework_and_no_runtime_session(name):
    tree = ast.parse(Path(importlib.import_module(f"{dialects.__name__}.{name}").__file__).read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not {module.partition(".")[0] for module in imported} & {
        "starlette",
        "uvicorn",
        "onnxruntime",
        "prometheus_client",
    }
    assert ast.get_docstring(tree)


def approximately(found, expected) -> bool:
    """Compares numbers with a tolerance: golden predictions may have shared a batch."""
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(approximately(found[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(approximately, found, expected))
    return found == pytest.approx(expected, rel=1e-5) if isinstance(expected, float) else found == expected
