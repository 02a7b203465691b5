"""Pages for people and machines: `/docs` and `/openapi.json`, of the models of a snapshot.

They are made when they are first wanted, and once for each snapshot.
"""

import html
import re
import shlex
from collections.abc import Callable, Sequence
from importlib.resources import files

from maas.records.signature import TensorSpec
from maas.serving.examples import LONG, file_of, shortened
from maas.serving.openapi import openapi_document
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.operations import AnyOperation, Content, OperationDocument, Page, Reply, Request
from maas.serving.repository import Snapshot

HTML = b"text/html; charset=utf-8"
_POLICY = (
    b"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    b"img-src data: blob:; media-src data: blob:"
)


def documentation(operations: Sequence[AnyOperation]) -> list[Page]:
    """Returns the pages that describe some operations."""
    described = tuple(operation for operation in operations if operation.is_documented)

    def docs(snapshot: Snapshot) -> Reply:
        return Reply(_docs_html(described, snapshot), HTML, ((b"content-security-policy", _POLICY),))

    def openapi(snapshot: Snapshot) -> Reply:
        return Reply(encode(openapi_document(described, snapshot)))

    def root(snapshot: Snapshot) -> Reply:  # noqa: ARG001
        return Reply(b"", HTML, ((b"location", b"/docs"),), is_redirect=True)

    return [DocumentationPage("/docs", docs), DocumentationPage("/openapi.json", openapi), DocumentationPage("/", root)]


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
        "input": _tensors(model.signature.inputs),
        "outputs": _tensors(model.signature.outputs),
    }
    return {
        **{name: html.escape(value) for name, value in facts.items()},
        "routes": "\n".join(map(_row, operations)),
        "curls": "\n".join(_curls(operations, snapshot)),
        "page": encode(page).decode().replace("<", "\\u003c"),
    }


def _tensors(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(f"{spec.name}: {spec.datatype} {_sizes(spec.shape)}" for spec in specs)


def _sizes(shape: Sequence[int]) -> str:
    return " × ".join("N" if size == -1 else str(size) for size in shape)


def _row(operation: AnyOperation) -> str:
    method, path = operation.method, html.escape(operation.path)
    cells = (f'<span class="method {method.lower()}">{method}</span>', f"<code>{path}</code>")
    return f"<tr><td>{cells[0]}</td><td>{cells[1]}</td><td>{html.escape(operation.summary)}</td></tr>"


def _curls(operations: Sequence[AnyOperation], snapshot: Snapshot) -> list[str]:
    """Returns a command for each operation that takes a body."""
    documents = ((one, one.document(snapshot)) for one in operations if "versions" not in one.path)
    return [
        _curl(operation, document, document.request)
        for operation, document in documents
        if document.request is not None
    ]


def _curl(operation: AnyOperation, document: OperationDocument, request: Content) -> str:
    path = operation.path
    for name, value in document.values:
        path = path.replace("{" + name + "}", value)
    body = encode(request.example).decode()
    sent = file_of(document.files) if document.files and len(body) > LONG else f"-d {shlex.quote(shortened(body))}"
    reply = encode(document.response.example).decode()
    command = html.escape(f"curl -s $ORIGIN{path} {sent}")
    title = html.escape(operation.summary)
    return f"<h3>{title}</h3><pre><code>{command}</code></pre><pre class=answer>{html.escape(reply)}</pre>"
