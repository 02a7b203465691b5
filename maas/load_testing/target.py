"""What is sent: requests whose rows stand in a file, or that the server's own documentation gives as an example."""

import http.client
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from maas.errors import ConfigError, InputError, ServerError, one_line
from maas.load_testing.settings import LoadSettings

MOST_REQUESTS = 1000
"""Different ones; they are sent in turn."""
DOCUMENT_S = 10.0


class LoadTarget(msgspec.Struct, frozen=True):
    """Where requests go, and what they are.

    Args:
        host: name or address of the server.
        port: its port.
        requests: head and body of each, sent in turn.
        summary: one line about them.
    """

    host: str
    port: int
    requests: Sequence[bytes]
    summary: str


def load_target(settings: LoadSettings) -> LoadTarget:
    """Returns what a load test sends.

    Raises:
        ConfigError: the file of inputs cannot be read, or the server documents no such route.
        ServerError: the server cannot be reached.
    """
    address = settings.address
    host, port, prefix = address.hostname or "", address.port or 80, address.path.rstrip("/")
    if settings.inputs is None:
        bodies = [_documented(settings, host, port, prefix)]
    else:
        bodies = _bodies(settings, rows_of_file(Path(settings.inputs)))
    head = f"POST {prefix}{settings.path} HTTP/1.1\r\nhost: {address.netloc}\r\ncontent-type: application/json\r\n"
    requests = [f"{head}content-length: {len(body)}\r\n\r\n".encode() + body for body in bodies]
    sizes = sorted(map(len, bodies))
    shown = f"{sizes[0]:,}" if sizes[0] == sizes[-1] else f"{sizes[0]:,} to {sizes[-1]:,}"
    return LoadTarget(host, port, requests, f"{len(requests)} different, bodies of {shown} bytes")


def rows_of_file(path: Path) -> list[object]:
    """Returns the rows of a file: a JSON list, a row a line of JSON lines, or a text a line.

    Raises:
        ConfigError: it cannot be read, or has no rows.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".json":
            rows = msgspec.json.decode(content, type=list[Any])
        elif path.suffix in (".jsonl", ".ndjson"):
            rows = [msgspec.json.decode(line) for line in content.splitlines() if line.strip()]
        else:
            rows = [line for line in content.decode().splitlines() if line.strip()]
    except (OSError, ValueError, msgspec.DecodeError) as error:
        raise ConfigError(f"inputs={path} cannot be read: {one_line(error)}.") from error
    if not rows:
        raise ConfigError(f"inputs={path} has no rows; one a line, or a JSON list of them.")
    return rows


def _bodies(settings: LoadSettings, rows: Sequence[object]) -> list[bytes]:
    """Returns bodies with `rows` rows each; the file's rows are taken in turn."""
    endless = itertools.cycle(rows)
    count = min(MOST_REQUESTS, max(1, len(rows) // settings.rows))
    return [_body(settings, list(itertools.islice(endless, settings.rows))) for _ in range(count)]


def _body(settings: LoadSettings, rows: Sequence[object]) -> bytes:
    choice = {"model": settings.model, "version": settings.version}
    return msgspec.json.encode({"inputs": rows, **{name: value for name, value in choice.items() if value is not None}})


def _documented(settings: LoadSettings, host: str, port: int, prefix: str) -> bytes:
    """Returns the body that the server's OpenAPI document has as an example."""
    paths = _fetched(host, port, f"{prefix}/openapi.json", settings.url).get("paths", {})
    example = _example(paths, settings.path)
    if example is None:
        raise ConfigError(f"{settings.url} documents no example for {settings.path}. Set inputs=FILE, or another path.")
    if not (isinstance(example, dict) and isinstance(example.get("inputs"), list) and settings.path.startswith("/v1/")):
        return msgspec.json.encode(example)
    rows = example["inputs"]
    if settings.model is not None:
        models = _fetched(host, port, f"{prefix}/v1/models", settings.url).get("data", [])
        task = next((one.get("task") for one in models if one.get("name") == settings.model), None)
        of_task = _example(paths, f"/v1/{task}")  # the first path's example is of the default model
        rows = [next(iter(of_task.values()))] if isinstance(of_task, dict) and of_task else rows
    return _body(settings, list(itertools.islice(itertools.cycle(rows), settings.rows)))


def _example(paths: Mapping[str, Any], path: str) -> object:
    """Returns the documented body of a request to a path; null where there is none."""
    template = next((one for one in paths if _pattern(one).fullmatch(path)), "")
    body = paths.get(template, {}).get("post", {}).get("requestBody", {})
    return body.get("content", {}).get("application/json", {}).get("example")


def _pattern(template: str) -> re.Pattern[str]:
    """Returns a pattern of the paths that a documented one stands for: its names in braces are segments."""
    return re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)))


def _fetched(host: str, port: int, path: str, url: str) -> dict[str, Any]:
    connection = http.client.HTTPConnection(host, port, timeout=DOCUMENT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        found = json.loads(response.read()) if response.status == 200 else {}
    except (OSError, http.client.HTTPException) as error:
        raise ServerError(f"{url} cannot be reached: {one_line(error)}.") from error
    except ValueError as error:
        raise InputError(f"{url}{path} is no JSON: {one_line(error)}. Set inputs=FILE.") from error
    finally:
        connection.close()
    return found if isinstance(found, dict) else {}
