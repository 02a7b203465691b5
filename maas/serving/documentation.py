"""The pages for people: `/docs` and `/openapi.json`, a small Starlette application beside the hot paths."""

import html
import re
import shlex
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route as Page

from maas.records.signature import TensorSpec
from maas.serving.dataplane import DataPlane, ServedModel
from maas.serving.openapi import document
from maas.serving.payload import LONG, encode, file_of, shortened
from maas.serving.routing import Route

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "img-src data: blob:; media-src data: blob:"
)


def documentation(plane: DataPlane, routes: Sequence[Route]) -> tuple[frozenset[str], Starlette]:
    """Returns the paths of the documentation and the application that answers them."""
    model = next(iter(plane.models.values()))
    manifest = model.bundle.manifest
    description = f"{manifest.task}, {manifest.precision}, from recipe {manifest.lineage.recipe}."
    described = encode(document(routes, title=model.name, version=model.version, description=description))
    page = docs_page(model, routes)

    async def root(request: Request) -> Response:  # noqa: ARG001
        return RedirectResponse("/docs")

    async def docs(request: Request) -> Response:  # noqa: ARG001
        return HTMLResponse(page, headers={"content-security-policy": _POLICY})

    async def openapi(request: Request) -> Response:  # noqa: ARG001
        return Response(described, media_type="application/json")

    pages = {"/": root, "/docs": docs, "/openapi.json": openapi}
    return frozenset(pages), Starlette(routes=[Page(path, endpoint) for path, endpoint in pages.items()])


def docs_page(model: ServedModel, routes: Sequence[Route]) -> str:
    """Returns one self-contained HTML page: what the model is, a form to try it, examples and routes."""
    template = files(__package__).joinpath("docs.html").read_text(encoding="utf-8")
    facts = _facts(model, routes)
    return re.sub(r"\{\{(\w+)\}\}", lambda place: facts[place[1]], template)


def _facts(model: ServedModel, routes: Sequence[Route]) -> dict[str, str]:
    manifest = model.bundle.manifest
    processor = model.predictor.processor
    page: dict[str, Any] = {
        "path": f"/v1/{manifest.task}",
        "input": processor.input_name,
        "kind": "file" if processor.media_types else "text" if processor.modality == "text" else "json",
        "files": ",".join(processor.media_types),
        "examples": model.bundle.golden.inputs[:6],
    }
    facts = {
        "name": model.name,
        "version": model.version,
        "task": manifest.task,
        "precision": manifest.precision,
        "recipe": manifest.lineage.recipe,
        "commit": (manifest.lineage.git_commit or "unknown")[:12],
        "digest": model.bundle.digest[:12],
        "input": _tensors(model.predictor.signature.inputs),
        "outputs": _tensors(model.predictor.signature.outputs),
    }
    return {
        **{name: html.escape(value) for name, value in facts.items()},
        "routes": "\n".join(map(_row, routes)),
        "curls": "\n".join(
            _curl(route) for route in routes if route.request is not None and "versions" not in route.path
        ),
        "page": encode(page).decode().replace("<", "\\u003c"),
    }


def _tensors(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(f"{spec.name}: {spec.datatype} {_sizes(spec.shape)}" for spec in specs)


def _sizes(shape: Sequence[int]) -> str:
    return " × ".join("N" if size == -1 else str(size) for size in shape)


def _row(route: Route) -> str:
    cells = (
        f'<span class="method {route.method.lower()}">{route.method}</span>',
        f"<code>{html.escape(route.path)}</code>",
    )
    return f"<tr><td>{cells[0]}</td><td>{cells[1]}</td><td>{html.escape(route.summary)}</td></tr>"


def _curl(route: Route) -> str:
    path = route.path
    for name, value in route.values:
        path = path.replace("{" + name + "}", value)
    body = encode(route.request.example).decode() if route.request else ""
    sent = file_of(route.files) if route.files and len(body) > LONG else f"-d {shlex.quote(shortened(body))}"
    answer = encode(route.response.example).decode()
    command = html.escape(f"curl -s $ORIGIN{path} {sent}")
    title = html.escape(route.summary)
    return f"<h3>{title}</h3><pre><code>{command}</code></pre><pre class=answer>{html.escape(answer)}</pre>"
