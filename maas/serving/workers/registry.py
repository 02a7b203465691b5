"""The registry is read once for all workers: by a process of the supervisor's, whose replies hold for one change.

Workers that look at one moment so find the same version at an alias, and the registry is read by one process.
"""

import asyncio
from concurrent.futures import Future
from typing import Protocol

import msgspec

from maas.errors import ProcessError, RegistryError
from maas.registry.reading.addresses import is_server
from maas.registry.reading.process import BY_MLFLOW, BY_REST, RegistryProcess
from maas.registry.reading.questions import Question, QuestionedRegistry, RegistryReply, VersionQuestion
from maas.serving.served_models import ServedModels
from maas.serving.workers.messages import ControlReply
from maas.serving.workers.records import REGISTRY

_QUESTION: "msgspec.json.Decoder[Question]" = msgspec.json.Decoder(Question)


class MessageTarget(Protocol):
    """What a worker sends messages to."""

    def request(self, kind: str, body: bytes) -> "Future[ControlReply]":
        """Sends a message; any thread may wait for the reply."""


class ChannelRegistry(QuestionedRegistry):
    """The registry as the supervisor reads it; its methods wait, and belong into a thread.

    Args:
        tracking_uri: address of the store.
        supervisor: reads it.
    """

    def __init__(self, tracking_uri: str, supervisor: MessageTarget) -> None:
        super().__init__(tracking_uri)
        self._supervisor = supervisor

    def reply_to(self, question: Question) -> RegistryReply:
        """Returns the supervisor's reply to a question.

        Raises:
            RegistryError: the supervisor has ended.
        """
        try:
            reply = self._supervisor.request(REGISTRY, msgspec.json.encode(question)).result()
        except ProcessError as error:
            raise RegistryError(str(error)) from error
        return msgspec.json.decode(reply.body, type=RegistryReply)

    def close(self) -> None:
        """Ends nothing: the supervisor's process reads for all workers."""


class RegistryReplies:
    """Replies to the questions of workers; a question that several have is put to the registry once.

    Args:
        tracking_uri: address of the store.
    """

    def __init__(self, tracking_uri: str) -> None:
        self._process = RegistryProcess(tracking_uri, BY_REST if is_server(tracking_uri) else BY_MLFLOW)
        self._known: dict[bytes, asyncio.Future[bytes]] = {}

    async def reply_to(self, question: bytes) -> bytes:
        """Returns the reply to a question, both as JSON."""
        if question not in self._known:
            self._known[question] = asyncio.ensure_future(asyncio.to_thread(self._read, question))
        return await asyncio.shield(self._known[question])

    async def look_up(self, served: ServedModels) -> None:
        """Reads which versions the aliases of what is served point at."""
        questions = [
            VersionQuestion(self._process.tracking_uri, slot.entry.registered_name, slot.entry.alias)
            for slot in served.slots
            if slot.entry.alias
        ]
        await asyncio.gather(*(self.reply_to(msgspec.json.encode(question)) for question in questions))

    def forget(self) -> None:
        """Lets the registry be read again: another change begins."""
        self._known.clear()

    def close(self) -> None:
        """Ends the process that reads; it is started again where it is needed."""
        self._process.close()

    def _read(self, question: bytes) -> bytes:
        try:
            reply = self._process.reply_to(_QUESTION.decode(question))
        except RegistryError as error:
            reply = RegistryReply(fault=str(error))
        return msgspec.json.encode(reply)
