"""Keeps the copies of bundles that are served: lazy models and large requests open their files long after the start."""

import asyncio

from maas.files import cache_folder
from maas.serving import later
from maas.serving.repository.repository import Repository

INTERVAL_S = 900.0
"""Far less than what copies are kept for after they were noted."""


class CopyKeeper:
    """Notes again and again that copies are in use.

    Args:
        repository: whose deployments' files are kept.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begins, on the running event loop."""
        copies = cache_folder("bundles")
        for deployment in self._repository.snapshot.deployments:
            if deployment.bundle.folder.is_relative_to(copies):
                later.keep_copy(deployment.bundle.folder)
        self._timer = asyncio.get_running_loop().call_later(INTERVAL_S, self.start)

    async def close(self) -> None:
        """Ends."""
        if self._timer is not None:
            self._timer.cancel()
