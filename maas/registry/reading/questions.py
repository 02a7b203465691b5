"""What a process and the one that reads the registry for it send each other: a line of JSON each way."""

from typing import TypeAlias

import msgspec

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
