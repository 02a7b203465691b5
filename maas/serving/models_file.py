"""The file of models: entries, the default model, and roll-outs by name with the fields of `rollout/records.py`.

    rollouts:
      digits-4: {kind: canary, model: digits, candidate: 4, percent: 10}

Nothing here opens a model.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import yaml

from maas.errors import ConfigError, one_line, shortened_value
from maas.registry.reading.addresses import MODELS
from maas.serving.entries import ModelEntry
from maas.serving.rollout.records import Rollout, RolloutName
from maas.suggesting import nearest_of

ROLLOUT_EXAMPLE = "rollouts: {digits-4: {kind: canary, model: digits, candidate: 4, percent: 10}}"


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
