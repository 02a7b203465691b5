"""What several contracts ask of a bundle: that the server answers as it does."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import maas


@pytest.fixture(scope="session")
def served_alike() -> Callable[[maas.Bundle, Sequence[Any]], bool]:
    """Tells whether the server's answers to raw rows, a request a row, are the bundle's."""
    return lambda bundle, rows: all(map(same, asked(bundle, rows), bundle.predict(rows)))


def asked(bundle: maas.Bundle, rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Returns the server's answers, a request a row, each row in its natural form."""
    from maas.serving.protocols.bodies import encode
    from maas.serving.repository import Repository
    from maas.serving.transports.http import HttpApp

    repository = Repository()
    repository.open(bundle.folder)
    processor, route = bundle.predictor.processor, f"/v1/{bundle.manifest.task}"

    async def ask() -> list[dict[str, Any]]:
        app = HttpApp(repository, max_body_bytes=2**24)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            answers = []
            for row in rows:
                if isinstance(row, bytes | Path):
                    content = row if isinstance(row, bytes) else row.read_bytes()
                    kind = processor.media_types[0]
                else:
                    value = row.tolist() if isinstance(row, np.ndarray) else row
                    content, kind = encode({processor.input_name: value}), "application/json"
                response = await client.post(route, content=content, headers={"content-type": kind})
                assert response.status_code == 200, response.text
                answers.append(response.json())
            await app.close()
            return answers

    return asyncio.run(ask())


def same(found: Any, expected: Any) -> bool:
    """Compares answers; numbers to the sixth digit, as rows asked one by one share no batch."""
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(same(found[key], value) for key, value in expected.items())
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    return found == (pytest.approx(expected, rel=1e-5, abs=1e-5) if isinstance(expected, float) else expected)
