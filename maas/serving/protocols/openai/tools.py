"""Tools of OpenAI's chat completions: functions that a model may call, and the form of a call where one is required.

A model that is free to call (`auto`) writes calls in its own form, which its chat template must teach it. A call that
is required, or the arguments of a function that is named, are JSON of the functions' schemas.
Source: https://platform.openai.com/docs/guides/function-calling
"""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec

from maas.errors import InputError
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.openai.forms import ANY_OBJECT, SchemaName, TextForm


class FunctionDefinition(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A function; its arguments have the form of `parameters` where a call is required, `strict` or not."""

    name: SchemaName
    description: str | None = None
    parameters: dict[str, object] | None = None
    strict: bool | None = None

    @property
    def schema(self) -> Mapping[str, object]:
        """JSON Schema of its arguments."""
        return ANY_OBJECT if self.parameters is None else self.parameters


class FunctionTool(msgspec.Struct, tag="function", tag_field="type", forbid_unknown_fields=True):
    """A tool that is a function; there are no others here."""

    function: FunctionDefinition


class FunctionName(msgspec.Struct, forbid_unknown_fields=True):
    """Which function."""

    name: str


class NamedFunction(msgspec.Struct, tag="function", tag_field="type", forbid_unknown_fields=True):
    """The choice of one function."""

    function: FunctionName


ToolChoice: TypeAlias = Literal["none", "auto", "required"] | NamedFunction


class ToolUse(msgspec.Struct, frozen=True):
    """How the texts of a call use tools.

    Args:
        tools: those that may be called.
        named: name of the function whose arguments each text is; empty where the text names it.
        is_required: whether each text is a call.
        has_one_call: whether a text makes at most one call.
    """

    tools: tuple[FunctionTool, ...]
    named: str = ""
    is_required: bool = False
    has_one_call: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the functions."""
        return tuple(tool.function.name for tool in self.tools)

    @property
    def as_template_reads(self) -> list[object]:
        """The tools as chat templates take them."""
        return [msgspec.to_builtins(tool) for tool in self.tools]

    @property
    def form(self) -> TextForm:
        """The form that each text must have: arguments, a call, or none."""
        if not self.is_required:
            return {}
        if self.named:
            return {"schema": next(one.function.schema for one in self.tools if one.function.name == self.named)}
        return {"schema": _schema_of_a_call(self.tools)}

    @property
    def instruction(self) -> str:
        """What a model is to know whose chat template takes no tools."""
        functions = "\n".join(encode(tool.function).decode() for tool in self.tools)
        if self.named:
            return f"Functions:\n{functions}\nAnswer with the arguments of {self.named} as JSON alone."
        return f'Functions:\n{functions}\nCall one as JSON alone: {{"name": "NAME", "arguments": {{…}}}}'


def tool_use(
    tools: Sequence[FunctionTool] | None, choice: ToolChoice | None, *, is_parallel: bool, reads_tools: bool
) -> ToolUse | None:
    """Returns how a request uses tools; None where it uses none.

    Args:
        tools: of the request.
        choice: of the request; null is `auto` where there are tools.
        is_parallel: whether a text may make several calls; where one is required, it makes exactly one.
        reads_tools: whether the chat template of the model takes tools.

    Raises:
        InputError: what is chosen is not there, or the model was not trained to choose.
    """
    if not tools:
        if isinstance(choice, NamedFunction) or choice == "required":
            raise InputError("tool_choice wants a call, and there are no tools; send tools as well.")
        return None
    use = ToolUse(tuple(tools), has_one_call=not is_parallel)
    if len(set(use.names)) < len(use.names):
        raise InputError("Two tools have one name; give each function a name of its own.")
    if choice == "none":
        return None
    if isinstance(choice, NamedFunction):
        if choice.function.name not in use.names:
            raise InputError(f"tool_choice names {choice.function.name!r}; the tools are {', '.join(use.names)}.")
        return msgspec.structs.replace(use, named=choice.function.name, is_required=True)
    if choice == "required":
        return msgspec.structs.replace(use, is_required=True)
    if not reads_tools:
        raise InputError(
            "The model's chat template takes no tools, so that it cannot choose to call one; set tool_choice to "
            "required, to a function or to none."
        )
    return use


def _schema_of_a_call(tools: Sequence[FunctionTool]) -> dict[str, object]:
    """Returns the schema of `{"name": …, "arguments": …}` for any of some functions."""
    calls: list[object] = []
    definitions: dict[str, object] = {}
    for tool in tools:
        name = tool.function.name
        definitions[name] = _moved(tool.function.schema, f"#/$defs/{name}")
        properties = {"name": {"const": name}, "arguments": {"$ref": f"#/$defs/{name}"}}
        calls.append(
            {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
        )
    return {"anyOf": calls, "$defs": definitions}


def _moved(schema: object, place: str) -> object:
    """Returns a schema whose references to itself hold at another place."""
    if isinstance(schema, Mapping):
        return {
            name: f"{place}{value[1:]}"
            if name == "$ref" and isinstance(value, str) and value.startswith("#")
            else _moved(value, place)
            for name, value in schema.items()
        }
    return [_moved(one, place) for one in schema] if isinstance(schema, list) else schema
