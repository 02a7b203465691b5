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

It may have roll-outs by name as well, with the fields of `rollout/records.py`:

    rollouts:
      digits-4: {kind: canary, model: digits, candidate: 4, percent: 10}

Nothing here opens a model.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from maas.bounds import BatchSize, Count, Positive, Threads
from maas.errors import ConfigError, one_line, shortened_value
from maas.registry.reading.addresses import MODELS
from maas.serving.rollout.records import Rollout, RolloutName
from maas.suggesting import nearest_of

_NAMED = re.compile(r"(?P<name>[\w.-]+)=(?P<address>.+)", re.DOTALL)
"""A folder whose own name holds `=` is written with a slash: `./a=b`."""
ROLLOUT_EXAMPLE = "rollouts: {digits-4: {kind: canary, model: digits, candidate: 4, percent: 10}}"


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


class ModelsFile(msgspec.Struct, frozen=True):
    """What a file of models holds.

    Args:
        models: entries, in the order in which they are named.
        default: name of the model that answers where a request names none; null for the first.
        rollouts: roll-outs by their names.
    """

    models: tuple[ModelEntry, ...]
    default: str | None = None
    rollouts: Mapping[str, Rollout] = {}


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


def read_models_file(path: str | Path) -> ModelsFile:
    """Reads a file of models.

    Raises:
        ConfigError: it cannot be read, or entries are wrong; every fault has its line, with the entry's number.
    """
    content = _mapping(path)
    known = list(ModelsFile.__struct_fields__)
    faults = [f"{path}: {_unknown(str(key), known)}" for key in content if key not in known]
    default, listed = content.get("default"), content.get("models")
    if not isinstance(default, str | None):
        faults.append(f"{path}: default is {default!r}; it must be the name of a model.")
    if not isinstance(listed, list) or not listed:
        faults.append(f"{path} has no list of models. Write e.g. models: [{{model: runs/digits/latest/bundle}}].")
        listed = []
    entries = list[ModelEntry]()
    for number, item in enumerate(listed, 1):
        try:
            entries.append(_entry(item))
        except ConfigError as error:
            faults.append(f"{path}, entry {number}: {error}")
    rollouts: dict[str, Rollout] = {}
    try:
        rollouts = msgspec.convert(_with_text_keys(content.get("rollouts") or {}), dict[RolloutName, Rollout])
    except msgspec.ValidationError as error:
        faults.append(f"{path}, rollouts: {one_line(error)}. Write e.g. {ROLLOUT_EXAMPLE}.")
    if faults:
        raise ConfigError("\n".join(faults))
    return ModelsFile(tuple(entries), default if isinstance(default, str) else None, rollouts)


def _with_text_keys(value: object) -> object:
    """Returns a YAML value where keys are texts: a version is written as a number."""
    return {str(key): _with_text_keys(one) for key, one in value.items()} if isinstance(value, dict) else value


def _mapping(path: str | Path) -> dict[object, object]:
    import yaml  # noqa: PLC0415  the command line alone needs none

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}. Name a file by models=FILE.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no YAML: {one_line(error)}.") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} holds no mapping. Write models: and below it a list of entries.")
    return content


def _entry(item: object) -> ModelEntry:
    """Returns one entry of a file.

    Raises:
        ConfigError: it is wrong.
    """
    known = list(ModelEntry.__struct_fields__)
    if not isinstance(item, dict):
        raise ConfigError(f"it is {shortened_value(repr(item), '')}; write model: ADDRESS and what else it needs.")
    if unknown := [str(key) for key in item if key not in known]:
        raise ConfigError(_unknown(unknown[0], known))
    try:
        entry = msgspec.convert(item, ModelEntry)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{one_line(error)}.") from error
    if not entry.model:
        raise ConfigError("model is empty. Set e.g. model: runs/digits/latest/bundle.")
    if entry.version is not None and entry.is_registered:
        raise ConfigError(
            f"version is set, and {entry.model} has one in the registry. Leave it out, or write {MODELS}NAME/"
            f"{entry.version}."
        )
    return entry


def _unknown(key: str, known: Sequence[str]) -> str:
    return f"{shortened_value(key, '')} is not known here.{nearest_of(key, known)}"
