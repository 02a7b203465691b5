"""The files of the page, as operations: a browser names the copy that it has, and is sent only what has changed."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from importlib.resources import files

from maas.serving.protocols.operation_documents import Content, OperationDocument
from maas.serving.protocols.operations import Page, Reply, Request
from maas.serving.repository import Snapshot

_FOLDER = "page"
_INDEX = "index.html"
_MEDIA_TYPES = {
    "html": b"text/html; charset=utf-8",
    "css": b"text/css; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "svg": b"image/svg+xml",
}
_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; "
    b"media-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing from elsewhere; `img-src` has what a person chose, and what a model saw."""


class StaticFile(Page):
    """One file, with its digest as etag.

    Args:
        name: of the file; the index is served at `/`, others below `/page/`.
    """

    is_documented = False
    summary = "A file of the page."

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = "/" if name == _INDEX else f"/{_FOLDER}/{name}"

    def reply(self, request: Request, snapshot: Snapshot) -> Reply:
        """Returns the file, or that the caller's copy is the same."""
        tags = request.metadata.get(b"if-none-match", b"")
        is_same = self._etag in tags or tags == b"*"
        return Reply(self._content, _MEDIA_TYPES[self.name.rpartition(".")[2]], self._metadata, is_unchanged=is_same)

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns that it is text."""
        return OperationDocument(Content({"type": "string"}, ""))

    @cached_property
    def _content(self) -> bytes:
        return (files(__package__) / "static" / self.name).read_bytes()

    @cached_property
    def _etag(self) -> bytes:
        return f'"{hashlib.sha256(self._content).hexdigest()[:20]}"'.encode()

    @cached_property
    def _metadata(self) -> tuple[tuple[bytes, bytes], ...]:
        return (
            (b"etag", self._etag),
            (b"cache-control", b"no-cache"),
            (b"content-security-policy", _POLICY),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
        )


_FILES = tuple(
    StaticFile(one.name) for one in sorted((files(__package__) / "static").iterdir(), key=lambda one: one.name)
)


def page_operations(snapshot: Snapshot) -> Sequence[Page]:  # noqa: ARG001  it is the same whatever is served
    """Returns the files of the page."""
    return _FILES
