"""Conversations as the prompt that a model was trained on: its own Jinja template, run in a sandbox."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import NoReturn

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from maas.errors import BundleError, InputError, one_line
from maas.runtime.generation.chat_prompt import ChatPrompt

TEMPLATE_ERRORS: tuple[type[Exception], ...] = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What rendering raises: Jinja's own errors, and those of a template's expressions."""


class ChatTemplate:
    """A template as transformers' `apply_chat_template` runs it.

    Args:
        source: Jinja source.
        special_tokens: texts of tokens by the names that templates use, such as `bos_token`.

    Raises:
        BundleError: it is no template.
    """

    def __init__(self, source: str, special_tokens: Mapping[str, str]) -> None:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = _now
        self._special_tokens = dict(special_tokens)
        self.reads_tools = bool(re.search(r"\btools\b", source))
        try:
            self._template = environment.from_string(source)
        except TemplateError as error:
            raise BundleError(
                f"The chat template cannot be read: {one_line(error)}. Export the model again."
            ) from error

    def render(self, prompt: ChatPrompt, *, is_answered: bool = False) -> str:
        """Returns the prompt, up to where the model's own answer begins.

        Args:
            prompt: conversation so far, and tools.
            is_answered: whether its last message is the model's answer, with which the text ends.

        Raises:
            InputError: the template refuses the conversation.
        """
        tools = {"tools": list(prompt.tools)} if prompt.tools else {}
        try:
            return self._template.render(
                messages=list(prompt.messages), add_generation_prompt=not is_answered, **self._special_tokens, **tools
            )
        except TEMPLATE_ERRORS as error:
            raise InputError(f"The model's chat template refuses these messages: {one_line(error)}.") from error


def _refuse(message: str) -> NoReturn:
    raise TemplateError(message)


def _to_json(value: object, indent: int | None = None) -> str:
    """Returns JSON without the HTML escapes of Jinja's own filter."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _now(form: str) -> str:
    return datetime.now().astimezone().strftime(form)
