"""Requests to a server in this process, for tests of protocols."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import httpx

from maas.serving.preprocessing.reader import InputReader
from maas.serving.repository import Repository
from maas.serving.transports.http import HttpApp


def repository_of(*folders: Path, names: Sequence[str | None] = ()) -> Repository:
    """A repository with some bundles, under names of their own where some are given."""
    repository = Repository()
    for folder, name in zip(folders, [*names, *[None] * len(folders)], strict=False):
        repository.open(folder, name=name)
    return repository


def ask(repository: Repository, method: str, path: str, **settings) -> httpx.Response:
    """Sends one request and returns its reply."""

    async def asked() -> httpx.Response:
        reader = InputReader(1024)
        transport = httpx.ASGITransport(HttpApp(repository, reader=reader))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            response = await client.request(method, path, **settings)
        await reader.close()
        return response

    return asyncio.run(asked())
