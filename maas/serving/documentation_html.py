"""The page on one model: what it is, a form to try it, commands for a shell, and the routes of the server."""

import html
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from urllib.parse import urlencode

from maas.records.signature import TensorSpec
from maas.serving.examples import LONG, file_of, shortened
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.operation_documents import Content, OperationDocument
from maas.serving.protocols.operations import AnyOperation, Generating
from maas.serving.repository import Deployment, GeneratingDeployment, PredictingDeployment, Snapshot


def docs_html(operations: Sequence[AnyOperation], model: Deployment, snapshot: Snapshot) -> bytes:
    """Returns one self-contained HTML page.

    Args:
        operations: of the server.
        model: what the page is on.
        snapshot: what else is served.
    """
    template = files(__package__).joinpath("docs.html").read_text(encoding="utf-8")
    facts = _facts(operations, model, snapshot)
    return re.sub(r"\{\{(\w+)\}\}", lambda place: facts[place[1]], template).encode()


def _facts(operations: Sequence[AnyOperation], model: Deployment, snapshot: Snapshot) -> dict[str, str]:
    manifest = model.bundle.manifest
    takes, gives, form = _described(model, _choice(model, snapshot))
    facts = {
        "name": model.name,
        "version": model.version,
        "task": manifest.task,
        "precision": manifest.precision,
        "recipe": manifest.lineage.recipe,
        "commit": (manifest.lineage.git_commit or "unknown")[:12],
        "digest": model.bundle.digest[:12],
        "input": takes,
        "outputs": gives,
    }
    return {
        **{name: html.escape(value) for name, value in facts.items()},
        "models": _models(model, snapshot),
        "routes": "\n".join(map(_row, operations)),
        "curls": "\n".join(_curls(operations, model, snapshot)),
        "page": encode(form).decode().replace("<", "\\u003c"),
    }


def _described(model: Deployment, choice: str) -> tuple[str, str, Mapping[str, object]]:
    """Returns what a model takes, what it gives, and what the form of the page needs.

    Args:
        model: of the page.
        choice: query that names it.
    """
    if isinstance(model, GeneratingDeployment):
        takes = f"a text or a conversation, at most {model.generator.context_length} tokens with the new ones"
        return takes, "a text", _text_form(model, choice)
    if not isinstance(model, PredictingDeployment):
        raise TypeError(f"{type(model).__name__} has no page.")
    processor = model.processor
    form = {
        "path": f"v1/{model.task}{choice}",
        "input": processor.input_name,
        "kind": "file" if processor.media_types else "text" if processor.modality == "text" else "json",
        "files": ",".join(processor.media_types),
        "examples": model.bundle.golden.inputs[:6],
    }
    return _tensors(model.signature.inputs), _tensors(model.signature.outputs), form


def _text_form(model: GeneratingDeployment, choice: str) -> Mapping[str, object]:
    is_chat = model.generator.has_chat_template
    return {
        "path": f"v1/{'chat/completions' if is_chat else 'completions'}{choice}",
        "input": "messages" if is_chat else "prompt",
        "kind": "text",
        "files": "",
        "examples": model.example_prompts[:6],
    }


def _choice(model: Deployment, snapshot: Snapshot) -> str:
    """Returns the query that names one of several models."""
    several = len(snapshot.deployments) > 1
    return f"?{urlencode({'model': model.name, 'version': model.version})}" if several else ""


def _models(model: Deployment, snapshot: Snapshot) -> str:
    """Returns references to the pages of several models."""
    if len(snapshot.deployments) == 1:
        return ""
    pages = []
    for one in sorted(snapshot.deployments, key=lambda one: (one.name, one.version)):
        shown = html.escape(f"{one.name} {snapshot.shown_version(one)}")
        query = html.escape(urlencode({"model": one.name, "version": one.version}))
        pages.append(f"<b>{shown}</b>" if one is model else f'<a href="?{query}">{shown}</a>')
    return f'<nav aria-label="models">{" · ".join(pages)}</nav>'


def _tensors(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(f"{spec.name}: {spec.datatype} {_sizes(spec.shape)}" for spec in specs)


def _sizes(shape: Sequence[int]) -> str:
    return " × ".join("N" if size == -1 else str(size) for size in shape)


def _row(operation: AnyOperation) -> str:
    method, path = operation.method, html.escape(operation.path)
    cells = (f'<span class="method {method.lower()}">{method}</span>', f"<code>{path}</code>")
    return f"<tr><td>{cells[0]}</td><td>{cells[1]}</td><td>{html.escape(operation.summary)}</td></tr>"


def _curls(operations: Sequence[AnyOperation], model: Deployment, snapshot: Snapshot) -> list[str]:
    """Returns a command for each operation of a model that takes a body."""
    led = snapshot.led_by(model)
    documents = ((one, one.document(led)) for one in _own(operations, model, snapshot))
    return [
        _curl(operation, document, document.request, _choice(model, snapshot))
        for operation, document in documents
        if document.request is not None and dict(document.values).get("name", model.name) == model.name
    ]


def _own(operations: Sequence[AnyOperation], model: Deployment, snapshot: Snapshot) -> Iterator[AnyOperation]:
    """Yields the operations that a model has: those of its task, with its version where it has several."""
    has_versions = sum(one.name == model.name for one in snapshot.deployments) > 1
    for one in operations:
        is_of_version = ("{version}" in one.path) == (has_versions and "{name}" in one.path)
        is_of_task = getattr(one, "task", model.task) == model.task
        generates = isinstance(one, Generating) == isinstance(model, GeneratingDeployment)
        if "{label}" not in one.path and is_of_version and is_of_task and generates:
            yield one


def _curl(operation: AnyOperation, document: OperationDocument, request: Content, choice: str) -> str:
    path = operation.path
    for name, value in document.values:
        path = path.replace("{" + name + "}", value)
    if any(parameter.name == "model" for parameter in document.query):
        path += choice
    body = encode(request.example).decode()
    sent = file_of(document.files) if document.files and len(body) > LONG else f"-d {shlex.quote(shortened(body))}"
    example = document.response.example
    reply = example if isinstance(example, str) else encode(example).decode()
    address = f"'$ORIGIN{path}'" if "?" in path else f"$ORIGIN{path}"
    command = html.escape(f"curl -s {address} {sent}")
    title = html.escape(operation.summary)
    return f"<h3>{title}</h3><pre><code>{command}</code></pre><pre class=answer>{html.escape(reply)}</pre>"
