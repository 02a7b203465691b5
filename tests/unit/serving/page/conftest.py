"""One server with a model of each kind, and a proxy that adds a path prefix."""

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import maas

PREFIX = "/a/b"
KINDS = {
    "array": "digits",
    "table": "sums",
    "text": "sentiment",
    "combined": "reviews",
    "image": "shades",
    "audio": "offsets",
    "speech": "letters",
    "embedding": "vectors",
}
"""The model of each kind."""


@pytest.fixture(scope="package")
def bundle_of(bundles, tmp_path_factory) -> dict[str, maas.Bundle]:
    """A bundle of each kind."""
    folder = tmp_path_factory.mktemp("page")
    made = {kind: getattr(bundles, f"{kind}_bundle")(folder / kind) for kind in KINDS}
    made["image"] = bundles.image_bundle(folder / "picture", height=12, width=16, channels=3)
    return {kind: maas.Bundle.open(path) for kind, path in made.items()}


@pytest.fixture(scope="package")
def server(start, bundle_of, tmp_path_factory):
    """It has all models, and the model of texts in two versions."""
    models = [{"model": str(bundle.folder), "name": KINDS[kind]} for kind, bundle in bundle_of.items()]
    models.append({"model": str(bundle_of["text"].folder), "name": "sentiment", "version": 2, "labels": ["next"]})
    file = tmp_path_factory.mktemp("models") / "models.yaml"
    file.write_text(json.dumps({"models": models}))  # JSON is YAML
    with start(f"models={file}") as server:
        yield server


@pytest.fixture(scope="package")
def prefixed(server) -> Iterator[str]:
    """The server's address behind a reverse proxy that takes a path prefix away."""

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            if not self.path.startswith(f"{PREFIX}/"):
                self.send_error(404)
                return
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port)) as connection:
                connection.request(self.command, self.path.removeprefix(PREFIX), body, dict(self.headers))
                reply = connection.getresponse()
                content = reply.read()
                self.send_response(reply.status)
                for name, value in reply.getheaders():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

        do_GET = do_POST = forward  # noqa: N815  http.server calls them so

        def log_message(self, *_: object) -> None:
            pass

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=proxy.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{proxy.server_port}{PREFIX}"
    proxy.shutdown()
    thread.join()
    proxy.server_close()
