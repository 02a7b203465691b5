"""What an administrator requests of one process happens in all of them, and the reply comes once all have done it."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from maas.serving.peers import Peers, require_all
from maas.serving.repository.administration import Administration, IndexedVersion

LOAD, UNLOAD, INDEX = "load", "unload", "index"
_INDEX = msgspec.json.Decoder(list[IndexedVersion])


class SharedAdministration:
    """Changes what all processes of a server serve.

    Args:
        administration: of this process.
        peers: the processes.
    """

    def __init__(self, administration: Administration, peers: Peers) -> None:
        self._administration = administration
        self._peers = peers
        peers.handle(LOAD, self._load)
        peers.handle(UNLOAD, self._unload)
        peers.handle(INDEX, self._index)

    async def index(self) -> list[IndexedVersion]:
        """Returns every version that is served or was unloaded; one is ready if it is so in all processes."""
        replies = await self._peers.broadcast(INDEX, is_change=False)
        return merged_index([_INDEX.decode(reply.body) for reply in replies if reply.error is None])

    async def load(self, name: str) -> None:
        """Serves a model that was unloaded, or what its entry stands for now.

        Raises:
            InputError: it cannot be loaded; what was served is.
            UnknownModelError: no entry has the name.
        """
        require_all(await self._peers.broadcast(LOAD, name.encode()))

    async def unload(self, name: str) -> None:
        """Serves a model no more; its calls are finished.

        Raises:
            UnknownModelError: no entry has the name.
        """
        require_all(await self._peers.broadcast(UNLOAD, name.encode()))

    async def _load(self, name: bytes) -> bytes:
        await self._administration.load(name.decode())
        return b""

    async def _unload(self, name: bytes) -> bytes:
        await self._administration.unload(name.decode())
        return b""

    async def _index(self, _: bytes) -> bytes:
        return msgspec.json.encode(self._administration.index())


def merged_index(indexes: Sequence[Sequence[IndexedVersion]]) -> list[IndexedVersion]:
    """Returns one index of several processes; a version that not all have ready is not ready."""
    ready = Counter((one.name, one.version) for index in indexes for one in index if one.state == "READY")
    merged: dict[tuple[str, str], IndexedVersion] = {}
    for index in indexes:
        for one in index:
            place = (one.name, one.version)
            if 0 < ready[place] < len(indexes):
                reason = f"ready in {ready[place]} of {len(indexes)} processes"
                merged[place] = IndexedVersion(*place, "UNAVAILABLE", reason)
            else:
                merged.setdefault(place, one)
    return list(merged.values())
