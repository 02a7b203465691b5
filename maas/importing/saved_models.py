"""Folders that transformers saved, and models of the hub: opened in silence, with what is wrong in one line."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maas.errors import ConfigError, one_line

try:
    from transformers import AutoConfig, GenerationConfig
    from transformers.utils import logging as transformers_logging
except ImportError as error:
    raise ImportError("transformers is not installed. In a checkout of maas: pip install '.[huggingface]'") from error


@contextmanager
def opening(name: str, kind: str) -> Iterator[None]:
    """Keeps transformers silent, and turns what it raises for what is missing, unreachable or unknown into one line.

    Args:
        name: what the caller calls the model.
        kind: what it is opened as, for the message.

    Raises:
        ConfigError: the model cannot be opened.
    """
    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity(logging.ERROR)
    try:
        yield
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise ConfigError(f"{name} cannot be opened as {kind}: {one_line(error)}.") from error
    finally:
        transformers_logging.set_verbosity(before)


def generation_config(place: Path | str) -> GenerationConfig:
    """Returns how a model generates, without opening it: by a file of its own, or else by its configuration.

    Args:
        place: a folder, or the id of a model of the hub.

    Raises:
        OSError: neither can be read.
    """
    is_local = isinstance(place, Path)
    try:
        return GenerationConfig.from_pretrained(str(place), local_files_only=is_local)
    except OSError:
        found = AutoConfig.from_pretrained(str(place), local_files_only=is_local)
        return GenerationConfig.from_model_config(found)
