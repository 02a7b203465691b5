"""Pages for people and machines: `/docs` and `/openapi.json`, of the models of a snapshot.

They are made when they are first wanted, and once for each snapshot.
"""

from collections.abc import Callable, Sequence

from maas.serving.documentation_html import docs_html
from maas.serving.openapi import openapi_document
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.operation_documents import Content, OperationDocument
from maas.serving.protocols.operations import AnyOperation, Page, Reply, Request
from maas.serving.repository import Deployment, Snapshot

HTML = b"text/html; charset=utf-8"
_POLICY = (
    b"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    b"img-src data: blob:; media-src data: blob:"
)


def documentation(operations: Callable[[], Sequence[AnyOperation]]) -> list[Page]:
    """Returns the pages that describe some operations.

    Args:
        operations: returns those of the server.
    """

    def described() -> list[AnyOperation]:
        return [one for one in operations() if one.is_documented and not isinstance(one, DocumentationPage | TryPage)]

    def docs(model: Deployment, snapshot: Snapshot) -> Reply:
        return Reply(docs_html(described(), model, snapshot), HTML, ((b"content-security-policy", _POLICY),))

    def openapi(snapshot: Snapshot) -> Reply:
        return Reply(encode(openapi_document(described(), snapshot)))

    return [TryPage("/docs", docs), DocumentationPage("/openapi.json", openapi)]


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


class TryPage(Page):
    """A page on one of the models: `?model=NAME&version=VERSION`, or the default one.

    Args:
        path: where it is.
        make: makes it for a model of a snapshot.
    """

    summary = "Describes the server."

    def __init__(self, path: str, make: Callable[[Deployment, Snapshot], Reply]) -> None:
        self.path = path
        self._make = make
        self._pages: tuple[str, dict[Deployment, Reply]] = ("", {})

    def reply(self, request: Request, snapshot: Snapshot) -> Reply:
        """Returns the page; it is made for the first request.

        Raises:
            UnknownModelError: the model is not served.
        """
        found = snapshot.find_any(request.query.get("model") or snapshot.default.name, request.query.get("version"))
        if self._pages[0] != snapshot.digest:
            self._pages = (snapshot.digest, {})
        pages = self._pages[1]
        if found not in pages:
            pages[found] = self._make(found, snapshot)
        return pages[found]

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns that it is text."""
        return OperationDocument(Content({"type": "string"}, ""))
