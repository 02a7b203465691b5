"""What a search has made, kept by content: what was asked for twice, or before a kill, is made once."""

import hashlib
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol

import msgspec

NAME_LENGTH = 20


class Settings(Protocol):
    """A frozen dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


class CandidateStore:
    """Folders by the digest of all that bears on what lies in them.

    Args:
        folder: below which they lie.
        context: of everything that is the same for all of them: recipe, rows, code.
    """

    def __init__(self, folder: Path, context: str) -> None:
        self._folder = folder
        self._context = context

    def place(self, *parts: Any) -> Path:
        """Returns the folder of what is made from these; it need not exist.

        Args:
            parts: digests, numbers, texts, and what msgspec can encode.
        """
        content = msgspec.json.encode([self._context, *parts], order="deterministic")
        return self._folder / hashlib.sha256(content).hexdigest()[:NAME_LENGTH]


def target_of(one: Settings) -> str:
    """Returns a pass's import path."""
    return f"{type(one).__module__}.{type(one).__qualname__}"


def settings_of(one: Settings) -> dict[str, Any]:
    """Returns a pass's settings as JSON holds them."""
    settings: dict[str, Any] = msgspec.to_builtins({field.name: getattr(one, field.name) for field in fields(one)})
    return settings
