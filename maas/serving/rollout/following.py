"""Follows what other servers keep in the same folder, so that a change at one of them holds in all."""

import asyncio
import logging

from maas.errors import ConfigError
from maas.serving.rollout.rollouts import Rollouts
from maas.serving.rollout.state import FolderState

LOOK_S = 1.0
log = logging.getLogger("maas.serving")


class FolderFollower:
    """Looks at a folder again and again.

    Args:
        store: keeps the state in the folder.
        rollouts: take what another server has kept.
        interval_s: time between two looks, in seconds.
    """

    def __init__(self, store: FolderState, rollouts: Rollouts, interval_s: float = LOOK_S) -> None:
        self._store, self._rollouts, self._interval_s = store, rollouts, interval_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to look, on the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._follow())

    async def close(self) -> None:
        """Looks no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                state = await asyncio.to_thread(self._store.read_if_changed)
            except ConfigError as error:
                log.warning("Roll-outs stay as they are: %s", error)
                continue
            if state is not None and state.revision > self._rollouts.state.revision:
                self._rollouts.take_served(state)
