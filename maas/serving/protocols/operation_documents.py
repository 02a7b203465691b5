"""An operation as the documentation shows it: bodies with their schemas and examples, parameters beside the path."""

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

JsonSchema: TypeAlias = Mapping[str, object]


class Content(msgspec.Struct, frozen=True):
    """A body as the documentation shows it.

    Args:
        schema: its JSON Schema.
        example: one that works with the served model.
        media_type: its media type.
    """

    schema: JsonSchema
    example: object
    media_type: str = "application/json"


class QueryParameter(msgspec.Struct, frozen=True):
    """A parameter in the query.

    Args:
        name: its name.
        schema: its JSON Schema.
        description: what it does.
        required: value that works, where it may not be left out; null where it may.
    """

    name: str
    schema: JsonSchema
    description: str
    required: str | None = None


class OperationDocument(msgspec.Struct, frozen=True):
    """An operation as the documentation shows it.

    Args:
        response: what comes back.
        request: what it takes; null for GET.
        values: for each open part of the path a value that works.
        files: media types of files that may be the whole body instead.
        query: parameters that it reads from the query.
    """

    response: Content
    request: Content | None = None
    values: tuple[tuple[str, str], ...] = ()
    files: tuple[str, ...] = ()
    query: tuple[QueryParameter, ...] = ()
