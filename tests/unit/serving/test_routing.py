"""Paths with open segments, parameters beside the path, and the form of a fault."""

import asyncio
import re
from collections.abc import Mapping

import httpx
import pytest

from maas.errors import InputError
from maas.serving.protocols.operation_documents import Content, OperationDocument
from maas.serving.protocols.operations import Page, Reply, Request
from maas.serving.repository import Repository
from maas.serving.routing import MethodError, OperationSource, RouteTable, UnknownRouteError
from maas.serving.transports.http import HttpApp


class EchoPage(Page):
    """Shows what it was given, and refuses one model."""

    protocol = "echo"
    summary = "Shows its parameters."

    def __init__(self, path: str, method: str = "GET") -> None:
        self.path = path
        self.method = method

    def reply(self, request: Request, snapshot) -> Reply:
        if request.query.get("model") == "none":
            raise InputError("There is no such model.")
        return Reply("&".join(f"{name}={value}" for name, value in request.query.items()).encode())

    def document(self, snapshot) -> OperationDocument:
        return OperationDocument(Content({}, ""))

    def fault(self, kind: str, message: str) -> Mapping[str, object]:
        return {"error_code": kind.upper(), "message": message}


PATHS = ["/v1/models/{name}", "/v1/models/{name}:predict", "/v1/models/{name}/versions/{version}:predict", "/v1/models"]
PAGES = [EchoPage(path, "POST" if "predict" in path else "GET") for path in PATHS]
TABLE = RouteTable([OperationSource(("/v1/*",), lambda: PAGES)])


@pytest.mark.parametrize(
    ("path", "found", "values"),
    [
        ("/v1/models", "/v1/models", {}),
        ("/v1/models/a", "/v1/models/{name}", {"name": "a"}),
        ("/v1/models/a:classify", "/v1/models/{name}", {"name": "a:classify"}),
        ("/v1/models/a:predict", "/v1/models/{name}:predict", {"name": "a"}),
        ("/v1/models/a:predict:predict", "/v1/models/{name}:predict", {"name": "a:predict"}),
        (
            "/v1/models/a/versions/3:predict",
            "/v1/models/{name}/versions/{version}:predict",
            {"name": "a", "version": "3"},
        ),
    ],
)
def test_path_with_a_suffix_is_found_before_one_without(path, found, values):
    operation, open_parts = TABLE.find("POST" if "predict" in found else "GET", path)
    assert (operation.path, open_parts) == (found, values)


def test_other_methods_of_a_path_with_a_suffix_are_refused():
    with pytest.raises(MethodError, match="takes POST, not GET"):
        TABLE.find("GET", "/v1/models/a:predict")


def test_path_without_its_suffix_is_unknown_where_none_is_open():
    served = "there is GET /v1/models/{name}, POST /v1/models/{name}:predict, GET /v1/models."
    with pytest.raises(UnknownRouteError, match=re.escape(served)):
        TABLE.find("GET", "/v1/models/a/versions/3")


def test_operations_are_made_when_a_path_may_be_one_of_theirs():
    made = []

    def source(*paths: str) -> OperationSource:
        return OperationSource(paths, lambda: made.append(paths) or [EchoPage(paths[0].replace("*", "a"))])

    table = RouteTable([source("/a/*"), source("/b"), source("/a/b/*", "/c")])
    assert made == []
    assert table.find("GET", "/b")[0].path == "/b"
    assert made == [("/b",)]
    assert table.find("GET", "/a/a")[0].path == "/a/a"
    assert made == [("/b",), ("/a/*",)]
    with pytest.raises(UnknownRouteError, match="there is GET /a/a, GET /b, GET /a/b/a"):
        table.find("GET", "/")
    assert len(made) == 3
    assert [one.path for one in table.operations] == ["/a/a", "/b", "/a/b/a"]
    assert len(made) == 3


@pytest.mark.parametrize(
    ("query", "read"),
    [("", ""), ("?model=a&version=3", "model=a&version=3"), ("?a=%E5%A5%BD+x&b", "a=好 x&b="), ("?a=1&a=2", "a=2")],
)
def test_parameters_beside_the_path_are_read(query, read):
    assert asked(f"/echo{query}").content.decode() == read


def test_fault_has_the_form_of_the_protocol():
    response = asked("/echo?model=none")
    assert response.status_code == 400
    assert response.json() == {"error_code": "INVALID_INPUT", "message": "There is no such model."}


def test_fault_of_the_server_has_its_id_beside_the_protocols_form():
    class BrokenPage(EchoPage):
        def reply(self, request, snapshot) -> Reply:
            raise ZeroDivisionError

    content = asked("/echo", BrokenPage("/echo")).json()
    assert content["error_code"] == "INTERNAL_ERROR"
    assert content["id"] in content["message"]


def asked(path: str, page: Page | None = None) -> httpx.Response:
    async def ask():
        transport = httpx.ASGITransport(HttpApp(Repository(), pages=[page or EchoPage("/echo")]))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(path)

    return asyncio.run(ask())
