"""Pages for people and machines: `/docs` and `/openapi.json`, of the models of a snapshot.

They are made when they are first wanted, and once for each snapshot.
"""

import html
import re
import shlex
from collections.abc import Callable, Sequence
from importlib.resources import files
from urllib.parse import urlencode

from maas.records.signature import TensorSpec
from maas.serving.examples import LONG, file_of, shortened
from maas.serving.openapi import openapi_document
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.operations import AnyOperation, Content, OperationDocument, Page, Reply, Request
from maas.serving.repository import Deployment, Snapshot

HTML = b"text/html; charset=utf-8"
_POLICY = (
    b"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    b"img-src data: blob:; media-src data: blob:"
)


def documentation(operations: Sequence[AnyOperation], *, has_page: bool = True) -> list[Page]:
    """Returns the pages that describe some operations.

    Args:
        operations: of the server.
        has_page: whether there is a page to try a model on, which are models that predict.
    """
    described = tuple(operation for operation in operations if operation.is_documented)

    def docs(snapshot: Snapshot) -> Reply:  # of the model that is the first
        return Reply(_docs_html(described, snapshot), HTML, ((b"content-security-policy", _POLICY),))

    def openapi(snapshot: Snapshot) -> Reply:
        return Reply(encode(openapi_document(described, snapshot)))

    described_by = DocumentationPage("/openapi.json", openapi)
    return [TryPage("/docs", docs), described_by] if has_page else [described_by]


class DocumentationPage(Page):
    """A page that stays the same as long as the snapshot does.

    Args:
        path: where it is.
        make: makes it.
    """

    summary = "Describes the server."

    def __init__(self, path: str, make: Callable[[Snapshot], Reply]) -> None:
        self.path = path
        self._make = make
        self._made: tuple[str, Reply] | None = None

    def reply(self, request: Request, snapshot: Snapshot) -> Reply:
        """Returns the page; it is made for the first request."""
        if self._made is None or self._made[0] != snapshot.digest:
            self._made = (snapshot.digest, self._make(snapshot))
        return self._made[1]

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns that it is text."""
        return OperationDocument(Content({"type": "string"}, ""))


class TryPage(DocumentationPage):
    """A page on one of the models: `?model=NAME&version=VERSION`, or the default one.

    Args:
        path: where it is.
        make: makes it for the first model of a snapshot.
    """

    def __init__(self, path: str, make: Callable[[Snapshot], Reply]) -> None:
        super().__init__(path, make)
        self._pages: tuple[str, dict[Deployment, Reply]] = ("", {})

    def reply(self, request: Request, snapshot: Snapshot) -> Reply:
        """Returns the page; it is made for the first request.

        Raises:
            UnknownModelError: the model is not served.
        """
        found = snapshot.find(request.query.get("model") or snapshot.first.name, request.query.get("version"))
        if self._pages[0] != snapshot.digest:
            self._pages = (snapshot.digest, {})
        pages = self._pages[1]
        if found not in pages:
            pages[found] = self._make(snapshot.led_by(found))
        return pages[found]


def _docs_html(operations: Sequence[AnyOperation], snapshot: Snapshot) -> bytes:
    """Returns one self-contained HTML page: what the model is, a form to try it, examples and operations."""
    template = files(__package__).joinpath("docs.html").read_text(encoding="utf-8")
    facts = _facts(operations, snapshot)
    return re.sub(r"\{\{(\w+)\}\}", lambda place: facts[place[1]], template).encode()


def _facts(operations: Sequence[AnyOperation], snapshot: Snapshot) -> dict[str, str]:
    model = snapshot.first
    manifest = model.bundle.manifest
    processor = model.processor
    page: dict[str, object] = {
        "path": f"v1/{manifest.task}{_choice(snapshot)}",
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
        "input": _tensors(model.signature.inputs),
        "outputs": _tensors(model.signature.outputs),
    }
    return {
        **{name: html.escape(value) for name, value in facts.items()},
        "models": _models(snapshot),
        "routes": "\n".join(map(_row, operations)),
        "curls": "\n".join(_curls(operations, snapshot)),
        "page": encode(page).decode().replace("<", "\\u003c"),
    }


def _choice(snapshot: Snapshot) -> str:
    """Returns the query that names the first of several models."""
    first = snapshot.first
    several = len(snapshot.deployments) > 1
    return f"?{urlencode({'model': first.name, 'version': first.version})}" if several else ""


def _models(snapshot: Snapshot) -> str:
    """Returns references to the pages of several models."""
    if len(snapshot.deployments) == 1:
        return ""
    first = snapshot.first
    pages = []
    for one in sorted(snapshot.deployments, key=lambda one: (one.name, one.version)):
        shown = html.escape(f"{one.name} {snapshot.shown_version(one)}")
        query = html.escape(urlencode({"model": one.name, "version": one.version}))
        pages.append(f"<b>{shown}</b>" if one is first else f'<a href="?{query}">{shown}</a>')
    return f'<nav aria-label="models">{" · ".join(pages)}</nav>'


def _tensors(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(f"{spec.name}: {spec.datatype} {_sizes(spec.shape)}" for spec in specs)


def _sizes(shape: Sequence[int]) -> str:
    return " × ".join("N" if size == -1 else str(size) for size in shape)


def _row(operation: AnyOperation) -> str:
    method, path = operation.method, html.escape(operation.path)
    cells = (f'<span class="method {method.lower()}">{method}</span>', f"<code>{path}</code>")
    return f"<tr><td>{cells[0]}</td><td>{cells[1]}</td><td>{html.escape(operation.summary)}</td></tr>"


def _curls(operations: Sequence[AnyOperation], snapshot: Snapshot) -> list[str]:
    """Returns a command for each operation of the first model that takes a body."""
    first = snapshot.first
    has_versions = len(snapshot.versions(first.name)) > 1
    own = (
        operation
        for operation in operations
        if "{label}" not in operation.path
        and ("{version}" in operation.path) == (has_versions and "{name}" in operation.path)
        and getattr(operation, "task", first.task) == first.task
    )
    documents = ((one, one.document(snapshot)) for one in own)
    return [
        _curl(operation, document, document.request, _choice(snapshot))
        for operation, document in documents
        if document.request is not None and dict(document.values).get("name", first.name) == first.name
    ]


def _curl(operation: AnyOperation, document: OperationDocument, request: Content, choice: str) -> str:
    path = operation.path
    for name, value in document.values:
        path = path.replace("{" + name + "}", value)
    if any(parameter.name == "model" for parameter in document.query):
        path += choice
    body = encode(request.example).decode()
    sent = file_of(document.files) if document.files and len(body) > LONG else f"-d {shlex.quote(shortened(body))}"
    reply = encode(document.response.example).decode()
    address = f"'$ORIGIN{path}'" if "?" in path else f"$ORIGIN{path}"
    command = html.escape(f"curl -s {address} {sent}")
    title = html.escape(operation.summary)
    return f"<h3>{title}</h3><pre><code>{command}</code></pre><pre class=answer>{html.escape(reply)}</pre>"
