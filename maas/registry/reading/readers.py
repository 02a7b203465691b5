"""What reads a registry without importing mlflow, chosen by the registry's address."""

import os
from typing import Protocol

from maas.registry.reading.addresses import LocatedModel, is_server
from maas.registry.reading.process import RegistryProcess
from maas.registry.reading.rest import RestRegistry


class RegistryReader(Protocol):
    """Reads a registry; its methods wait for answers, and belong into a thread where others must not wait."""

    tracking_uri: str

    def version_at(self, name: str, alias: str) -> str:
        """Returns the version that an alias points at.

        Raises:
            AbsentError: there is no such model, or it has no such alias.
            RegistryError: the registry cannot be read.
        """

    def names_with(self, alias: str) -> list[str]:
        """Returns the names of all models that have an alias, in the order of the alphabet.

        Raises:
            RegistryError: the registry cannot be read.
        """

    def locate(self, address: str) -> LocatedModel:
        """Finds a bundle by its address and returns where it lies, copied to this machine if need be.

        Raises:
            AbsentError: there is no such model or version.
            RegistryError: the address is malformed, or the registry cannot be read.
        """

    def close(self) -> None:
        """Ends processes of the reader's own."""


def reader_of(tracking_uri: str) -> RegistryReader:
    """Returns what reads a registry: its REST interface, or a process of its own for a database."""
    return RestRegistry(tracking_uri, os.environ) if is_server(tracking_uri) else RegistryProcess(tracking_uri)
