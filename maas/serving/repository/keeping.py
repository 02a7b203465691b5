"""Keeps the copies of bundles that are served: lazy models and large requests open their files long after the start."""

import asyncio

from maas.registry.copies import IN_USE_S, keep_copy
from maas.serving.repository.repository import Repository

INTERVAL_S = IN_USE_S / 4


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
        for deployment in self._repository.snapshot.deployments:
            keep_copy(deployment.bundle.folder)
        self._timer = asyncio.get_running_loop().call_later(INTERVAL_S, self.start)

    async def close(self) -> None:
        """Ends."""
        if self._timer is not None:
            self._timer.cancel()
