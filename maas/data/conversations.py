"""Conversations as rows: a row is a list of messages, of which those of the assistant are learnt.

They come from files and data sets that hold messages, or a prompt and its answer in columns. Nothing is tokenised here.
"""

import json
import reprlib
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, cast

from maas.bounds import ExistingPath
from maas.data.cells import ONLY_EMPTY
from maas.data.hub import loaded
from maas.data.sheets import Sheet, require_columns
from maas.data.sources import read_file, reading_of
from maas.data.tables import ArrowRows, Column, Table, Tables
from maas.errors import DataError

Messages: TypeAlias = list[dict[str, str]]
"""Messages in their order: `role` and `content` of each."""
Answering: TypeAlias = Callable[[object, object], Messages | None]
"""Makes a conversation of a prompt and its answer; None of one that is missing."""


def messages(path: ExistingPath, key: str = "messages", test_path: ExistingPath | None = None) -> Tables:
    """Reads JSON (lines) or Parquet with a conversation a row: a list of objects with `role` and `content`.

    Args:
        path: the file.
        key: column of the messages.
        test_path: a second file that holds the test split.

    Raises:
        DataError: at once or when rows are read: the file cannot be read, or holds no such lists.
    """
    reading = reading_of((), (), (), ONLY_EMPTY)
    return {
        split: _conversations(read_file(file, reading).parts, file, key)
        for split, file in _paths(path, test_path).items()
    }


def hub_messages(
    id: str,  # noqa: A002 - the hub's word
    key: str = "messages",
    config: str | None = None,
    revision: str | None = None,
) -> Tables:
    """Loads conversations from the Hugging Face hub, or from a local folder that `datasets` understands.

    Args:
        id: OWNER/NAME or a folder.
        key: column of the messages.
        config: the data set's configuration.
        revision: a commit, so that the rows cannot change.

    Raises:
        DataError: at once or when rows are read: it cannot be loaded, or holds no such lists.
    """
    return {split: _conversations(parts, id, key) for split, parts in loaded(id, config, revision).items()}


def prompts(
    path: ExistingPath,
    prompt: str = "prompt",
    response: str = "response",
    system: str | None = None,
    test_path: ExistingPath | None = None,
) -> Tables:
    """Reads a table of CSV, TSV, JSON (lines) or Parquet: a prompt and its answer make a conversation.

    Args:
        path: the file.
        prompt: column of what the user says.
        response: column of what the assistant answers.
        system: what is said before each conversation, by the role system; null for nothing.
        test_path: a second file that holds the test split.

    Raises:
        DataError: the format is unknown, the file cannot be read or lacks a column.
    """
    reading = reading_of([prompt, response], (), (), ONLY_EMPTY)
    names = [prompt, response]
    return {
        split: _answered(read_file(file, reading), names, system) for split, file in _paths(path, test_path).items()
    }


def hub_prompts(
    id: str,  # noqa: A002 - the hub's word
    prompt: str = "prompt",
    response: str = "response",
    system: str | None = None,
    config: str | None = None,
    revision: str | None = None,
) -> Tables:
    """Loads prompts and answers from the Hugging Face hub, or from a local folder that `datasets` understands.

    Args:
        id: OWNER/NAME or a folder.
        prompt: column of what the user says.
        response: column of what the assistant answers.
        system: what is said before each conversation, by the role system; null for nothing.
        config: the data set's configuration.
        revision: a commit, so that the rows cannot change.

    Raises:
        DataError: it cannot be loaded or lacks a column.
    """
    reading, found = reading_of([prompt, response], (), (), ONLY_EMPTY), loaded(id, config, revision)
    return {split: _answered(Sheet(parts, id, reading), [prompt, response], system) for split, parts in found.items()}


def conversing(system: str | None) -> Answering:
    """Returns what makes a conversation of a prompt and its answer.

    Args:
        system: what is said before, by the role system; None for nothing.
    """
    before = [] if system is None else [{"role": "system", "content": system}]

    def make(prompt: object, response: object) -> Messages | None:
        if prompt is None or response is None:
            return None
        return [*before, {"role": "user", "content": str(prompt)}, {"role": "assistant", "content": str(response)}]

    return make


def _paths(path: str, test_path: str | None) -> dict[str, str]:
    return {"train": path, "test": test_path} if test_path else {"all": path}


def _answered(sheet: Sheet, names: Sequence[str], system: str | None) -> Table:
    require_columns(names, sheet.names, sheet.origin, "Set data.source.prompt and data.source.response.")
    rows = sheet.rows(names, conversing(system))
    return {"input": rows, "label": [None] * len(rows)}


def _conversations(parts: Sequence[ArrowRows], origin: str, key: str) -> Table:
    require_columns([key], parts[0].names, origin, "Set data.source.key.")
    rows = Column(parts, [key], lambda value: _conversation(value, origin, key))
    return {"input": rows, "label": [None] * len(rows)}


def _conversation(value: object, origin: str, key: str) -> Messages | None:
    """Returns the messages of a cell, which JSON's readers keep as text; None where there is nothing.

    Raises:
        DataError: it holds no messages.
    """
    if value is None:
        return None
    try:
        listed = cast("Sequence[Mapping[str, str]]", json.loads(value) if isinstance(value, str) else value)
        found = [{name: one for name, one in message.items() if one is not None} for message in listed]
    except (ValueError, TypeError, AttributeError):
        found = []
    if not found or not all(_is_message(one) for one in found):
        raise DataError(
            f"{origin} holds {reprlib.repr(value)} as {key}; a conversation is a list of objects with role and "
            "content, texts both."
        )
    return found


def _is_message(message: Mapping[str, object]) -> bool:
    return isinstance(message.get("role"), str) and isinstance(message.get("content"), str)
