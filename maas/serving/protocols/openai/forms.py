"""The form that a text must have, as OpenAI's requests name it, and as vLLM's do.

Source: https://platform.openai.com/docs/guides/structured-outputs,
https://docs.vllm.ai/en/latest/features/structured_outputs/
"""

from collections.abc import Mapping
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from maas.errors import InputError

TextForm: TypeAlias = Mapping[str, object]
"""Settings of a generation that require a form; none where any text may come."""
ANY_OBJECT: Mapping[str, object] = {"type": "object"}
SchemaName: TypeAlias = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


class AnyText(msgspec.Struct, tag="text", tag_field="type", forbid_unknown_fields=True):
    """Any text."""


class AnyJson(msgspec.Struct, tag="json_object", tag_field="type", forbid_unknown_fields=True):
    """An object in JSON."""


class NamedSchema(msgspec.Struct, forbid_unknown_fields=True):
    """A JSON Schema; the text has its form whether `strict` is set or not."""

    name: SchemaName
    schema: dict[str, object] | None = None
    description: str | None = None
    strict: bool | None = None


class ChatSchema(msgspec.Struct, tag="json_schema", tag_field="type", forbid_unknown_fields=True):
    """JSON of a schema, as chat completions have it."""

    json_schema: NamedSchema


class ResponseSchema(NamedSchema, tag="json_schema", tag_field="type", forbid_unknown_fields=True):
    """JSON of a schema, as responses have it."""


class StructuredOutputs(msgspec.Struct, forbid_unknown_fields=True):
    """One of the forms that vLLM's `structured_outputs` has; grammars and tags are not done here."""

    json: dict[str, object] | None = None
    json_object: bool | None = None
    regex: str | None = None
    choice: Annotated[list[str], Meta(min_length=1)] | None = None


ChatFormat: TypeAlias = AnyText | AnyJson | ChatSchema
ResponsesFormat: TypeAlias = AnyText | AnyJson | ResponseSchema


def text_form(wanted: ChatFormat | ResponsesFormat | None, structured: StructuredOutputs | None) -> TextForm:
    """Returns the form that a request wants.

    Args:
        wanted: OpenAI's field.
        structured: vLLM's field.

    Raises:
        InputError: it wants several.
    """
    forms = [form for form in (_format_form(wanted), _structured_form(structured)) if form]
    if len(forms) > 1:
        raise InputError("A text has one form: set the format of the response or structured_outputs, not both.")
    return forms[0] if forms else {}


def _format_form(wanted: ChatFormat | ResponsesFormat | None) -> TextForm:
    if wanted is None or isinstance(wanted, AnyText):
        return {}
    if isinstance(wanted, AnyJson):
        return {"schema": ANY_OBJECT}
    named = wanted.json_schema if isinstance(wanted, ChatSchema) else wanted
    return {"schema": ANY_OBJECT if named.schema is None else named.schema}


def _structured_form(wanted: StructuredOutputs | None) -> TextForm:
    if wanted is None:
        return {}
    form = {
        "schema": ANY_OBJECT if wanted.json_object and wanted.json is None else wanted.json,
        "regex": wanted.regex,
        "choice": wanted.choice,
    }
    given = {name: value for name, value in form.items() if value is not None}
    if not given:
        raise InputError("structured_outputs names no form; give one of json, json_object, regex and choice.")
    return given
