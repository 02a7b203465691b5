"""Which models a server serves: entries of its command line, of its environment and of a file.

    model=runs/digits/latest/bundle      a bundle's folder
    model=models:/digits@champion        a version in the registry by its alias, which becomes its label here
    model=models:/digits/3               a version in the registry by its number
    model=mood=runs/sentiment_zh/…       the same by a name that you choose

A file holds a list of entries, and may name the model that answers where a request names none:

    default: digits
    models:
      - model: models:/digits@champion
        batch_size: 32
      - {model: runs/sentiment_zh/latest/bundle, name: mood, version: 2, labels: [trial], lazy: true}

Nothing here opens a model; `models_file.py` reads the file.
"""

import re
from pathlib import Path
from typing import NamedTuple

import msgspec

from maas.bounds import BatchSize, Count, Positive, Threads
from maas.registry.reading.addresses import MODELS

_NAMED = re.compile(r"(?P<name>[\w.-]+)=(?P<address>.+)", re.DOTALL)
"""A folder whose own name holds `=` is written with a slash: `./a=b`."""


class ModelEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model that is to be served.

    Args:
        model: a bundle's folder, `models:/NAME@ALIAS` or `models:/NAME/VERSION`.
        name: name that callers use; null for the registry's, or the bundle's.
        version: version of a bundle's folder; the registry has its own.
        labels: other names of this version.
        default: whether this version answers where a request names the model and no version; else the first does.
        lazy: whether the model is loaded by the first request for it.
        batch_size: the most rows in one run; null for the server's setting.
        threads: ONNX Runtime's threads in one run; null for the server's setting.
        max_queue: the most rows that may wait for this model; null for the server's setting.
        max_wait_s: seconds that rows may wait for this model; null for the server's setting.
    """

    model: str
    name: str | None = None
    version: str | int | None = None
    labels: tuple[str, ...] = ()
    default: bool = False
    lazy: bool = False
    batch_size: BatchSize | None = None
    threads: Threads | None = None
    max_queue: Count | None = None
    max_wait_s: Positive | None = None

    @property
    def identity(self) -> tuple[str, str | None, str | None]:
        """What stays the same when its settings change."""
        return self.model, self.name, None if self.version is None else str(self.version)

    @property
    def is_registered(self) -> bool:
        """Whether the registry has it."""
        return self.model.startswith(MODELS)

    @property
    def alias(self) -> str | None:
        """The registry's alias that it follows; null where its version is fixed."""
        _, at, alias = self.model.partition("@")
        return alias if at and self.is_registered else None

    @property
    def registered_name(self) -> str:
        """The registry's name of the model that follows an alias."""
        return self.model.removeprefix(MODELS).partition("@")[0]


class LocatedEntry(NamedTuple):
    """An entry whose bundle lies on this machine.

    Args:
        entry: as it was written.
        folder: of the bundle.
        name: name that callers use; null for the bundle's.
        version: version of the model.
    """

    entry: ModelEntry
    folder: str
    name: str | None
    version: str

    @classmethod
    def of_folder(cls, folder: str | Path, *, name: str | None = None, version: str = "1") -> "LocatedEntry":
        """Returns the entry of a bundle's folder.

        Args:
            folder: the bundle.
            name: name that callers use; null for the bundle's.
            version: version of the model.
        """
        return cls(ModelEntry(model=str(folder)), str(folder), name, version)


def entry_of(argument: str) -> ModelEntry:
    """Returns the entry that `ADDRESS` or `NAME=ADDRESS` stands for."""
    named = _NAMED.fullmatch(argument)
    return ModelEntry(model=named["address"], name=named["name"]) if named else ModelEntry(model=argument)
