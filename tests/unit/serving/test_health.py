"""Probes are answered like the health of the Open Inference Protocol."""

import asyncio

import httpx
import pytest

from maas.serving.preprocessing.reader import InputReader
from maas.serving.repository import Repository
from maas.serving.transports.http import HttpApp


def status_of(repository: Repository, path: str) -> int:
    async def ask() -> int:
        transport = httpx.ASGITransport(HttpApp(repository, reader=InputReader(8)))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return (await client.get(path)).status_code

    return asyncio.run(ask())


@pytest.mark.parametrize(("path", "empty"), [("/healthz", 200), ("/livez", 200), ("/readyz", 503)])
def test_probe_is_answered_when_models_are_served_and_when_none_is(path, empty, array_folder):
    assert status_of(Repository(), path) == empty
    repository = Repository()
    repository.open(array_folder)
    assert status_of(repository, path) == 200
