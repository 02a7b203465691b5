"""What a process and the one that reads the registry for it send each other, and the registry as questions read it."""

from abc import ABC, abstractmethod
from typing import TypeAlias

import msgspec

from maas.errors import AbsentError, RegistryError
from maas.registry.reading.addresses import LocatedModel


class VersionQuestion(msgspec.Struct, frozen=True, tag=True):
    """Which version an alias points at."""

    tracking_uri: str
    name: str
    alias: str


class NamesQuestion(msgspec.Struct, frozen=True, tag=True):
    """Which models have an alias."""

    tracking_uri: str
    alias: str


class PlaceQuestion(msgspec.Struct, frozen=True, tag=True):
    """Where a bundle lies."""

    tracking_uri: str
    address: str


class RegistryReply(msgspec.Struct, frozen=True):
    """The reply to a question; the field that was wanted is set, or `fault`.

    Args:
        version: that an alias points at.
        names: of models, in the order of the alphabet.
        model: where a bundle lies.
        fault: one line that says why there is none of them.
        is_absent: whether the registry says that what was wanted is not there.
    """

    version: str = ""
    names: list[str] = []
    model: LocatedModel | None = None
    fault: str = ""
    is_absent: bool = False


Question: TypeAlias = VersionQuestion | NamesQuestion | PlaceQuestion


class QuestionedRegistry(ABC):
    """A registry that another process reads.

    Args:
        tracking_uri: address of the store.
    """

    def __init__(self, tracking_uri: str) -> None:
        self.tracking_uri = tracking_uri

    @abstractmethod
    def reply_to(self, question: Question) -> RegistryReply:
        """Returns the other process's reply to a question; it waits for it.

        Raises:
            RegistryError: the other process does not run.
        """

    def version_at(self, name: str, alias: str) -> str:
        """Returns the version that an alias points at.

        Raises:
            AbsentError: there is no such model, or it has no such alias.
            RegistryError: the registry cannot be read.
        """
        return self._reply(VersionQuestion(self.tracking_uri, name, alias)).version

    def names_with(self, alias: str) -> list[str]:
        """Returns the names of all models that have an alias, in the order of the alphabet.

        Raises:
            RegistryError: the registry cannot be read.
        """
        return self._reply(NamesQuestion(self.tracking_uri, alias)).names

    def locate(self, address: str) -> LocatedModel:
        """Finds a bundle by its address and returns where it lies, copied to this machine if need be.

        Raises:
            AbsentError: there is no such model or version.
            RegistryError: the address is malformed, or the registry cannot be read.
        """
        return self._reply(PlaceQuestion(self.tracking_uri, address)).model or LocatedModel("")

    @abstractmethod
    def close(self) -> None:
        """Ends the other process, if it is this registry's own."""

    def _reply(self, question: Question) -> RegistryReply:
        reply = self.reply_to(question)
        if reply.fault:
            raise AbsentError(reply.fault) if reply.is_absent else RegistryError(reply.fault)
        return reply
