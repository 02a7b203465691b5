"""The command line of `maas generate`, read once into a value.

Prompts hold whatever people write, so that it is no command line in Hydra's grammar: a word is a setting where it
begins with a name and `=`, and nothing is one after `--`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_type_hints

import msgspec

from maas.bounds import required_by
from maas.errors import ConfigError, one_line, shortened_value
from maas.runtime.generation.settings import GenerationSettings, generation_settings
from maas.suggesting import hint_of

JSON_FLAG, PLAIN_WORDS = "--json", "--"
SEE_HELP = "See maas generate --help."
SETTING = re.compile(r"([a-z][a-z_]*)=(.*)", re.DOTALL)
OWN_KEYS = ("chat", "system", "prompts", "out")
JSON_SETTINGS = ("stop_tokens", "logit_bias")
HINTS = get_type_hints(GenerationSettings, include_extras=True)


@dataclass(frozen=True)
class GenerationCommand:
    """What was typed after `maas generate`.

    Args:
        model: address of the model.
        settings: how texts are continued.
        prompt: text or message; None where it comes from standard input.
        is_chat: whether prompts are messages that are answered, and not texts that are continued.
        system: what the model is to be in a conversation; None for nothing.
        prompts: file of prompts; None for one prompt.
        out: file that is written for it.
        is_json: whether a JSON object is printed instead of the text.
    """

    model: str
    settings: GenerationSettings
    prompt: str | None = None
    is_chat: bool = False
    system: str | None = None
    prompts: Path | None = None
    out: Path | None = None
    is_json: bool = False

    @classmethod
    def of(cls, arguments: Sequence[str]) -> "GenerationCommand":
        """Reads a command line.

        Args:
            arguments: without the program's name.

        Raises:
            ConfigError: a word or a value is none that is known, or words do not fit together.
            InputError: the texts that end a text cannot be used.
        """
        names, given = _told_apart(arguments)
        if not 1 <= len(names) <= 2:
            raise ConfigError(
                f"{len(names)} words stand beside the settings; name a model and, in quotes, its prompt. {SEE_HELP}"
            )
        values = {key: setting_of(key, texts) for key, texts in given.items() if key in HINTS}
        own = {key: texts[-1] for key, texts in given.items() if key in OWN_KEYS}
        prompts, out = own.get("prompts"), own.get("out")
        command = cls(
            model=names[0],
            settings=generation_settings(values),
            prompt=names[1] if names[1:] and names[1] != "-" else None,
            is_chat=_is_true("chat", own.get("chat", "false")),
            system=own.get("system"),
            prompts=None if prompts is None else Path(prompts),
            out=None if out is None else Path(out),
            is_json=JSON_FLAG in _before_plain(arguments),
        )
        _require_fitting(command)
        return command


def wants_help(arguments: Sequence[str]) -> bool:
    """Returns whether the usage is to be printed, and nothing done."""
    return not arguments or arguments[0] == "help" or bool({"-h", "--help"} & set(_before_plain(arguments)))


def _before_plain(arguments: Sequence[str]) -> Sequence[str]:
    return arguments[: arguments.index(PLAIN_WORDS)] if PLAIN_WORDS in arguments else arguments


def _told_apart(arguments: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Returns plain words, and settings by their key.

    Raises:
        ConfigError: an option or a key is unknown, or a key is given twice.
    """
    names: list[str] = []
    given: dict[str, list[str]] = {}
    before = _before_plain(arguments)
    for word in before:
        if setting := SETTING.fullmatch(word):
            _require_known(setting[1], word)
            given.setdefault(setting[1], []).append(setting[2])
        elif word.startswith("-") and word not in ("-", JSON_FLAG):
            raise ConfigError(f"There is no option {shortened_value(word, '')}. {_as_plain(word)}")
        elif word != JSON_FLAG:
            names.append(word)
    for key, texts in given.items():
        if len(texts) > 1 and key != "stop":
            raise ConfigError(f"{key} is given {len(texts)} times: {' and '.join(texts)}. Leave one.")
    return [*names, *arguments[len(before) + 1 :]], given


def _require_known(key: str, word: str) -> None:
    if key not in HINTS and key not in OWN_KEYS:
        known = ", ".join([*OWN_KEYS, *HINTS])
        hint = hint_of(key, [*OWN_KEYS, *HINTS])
        raise ConfigError(f"{key} is no setting; there are {known}.{hint} {_as_plain(word)}")


def _as_plain(word: str) -> str:
    return f"If it is the prompt, write it after two dashes: -- {shortened_value(word)}"


def setting_of(key: str, texts: Sequence[str]) -> object:
    """Returns a setting of generation as its type.

    Args:
        key: name of the setting.
        texts: what was typed for it; several texts for `stop` alone.

    Raises:
        ConfigError: the text is no such value.
    """
    text = texts[-1]
    try:
        if key == "stop":
            return tuple(texts)
        if key == "stop_tokens":
            return msgspec.convert(text.split(","), HINTS[key], strict=False)
        if key == "logit_bias":
            return msgspec.json.decode(text, type=HINTS[key])
        return msgspec.convert(text, HINTS[key], strict=False)
    except msgspec.DecodeError as error:
        required = required_by(HINTS[key]) if key not in JSON_SETTINGS else ""
        why = f"; {required}" if required else f": {one_line(error)}"
        raise ConfigError(f"{key} is {shortened_value(text, '')}{why}.") from error


def _is_true(key: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise ConfigError(f"{key} is {shortened_value(text, '')}; it must be true or false.")
    return text == "true"


def _require_fitting(command: GenerationCommand) -> None:
    """Requires words that fit together.

    Raises:
        ConfigError: they do not; all faults, a line each.
    """
    if faults := list(_faults(command)):
        raise ConfigError("\n".join(faults))


def _faults(command: GenerationCommand) -> Iterator[str]:
    if command.prompts is not None and command.out is None:
        yield "out is missing. Set out=FILE.jsonl, where the texts of prompts=FILE are written."
    if command.out is not None and command.prompts is None:
        yield "out is of prompts=FILE. Leave it out, or write the text to a file by the shell: > FILE."
    if command.prompts is not None and command.prompt is not None:
        yield "There are a prompt and prompts=FILE; give one of them."
    if command.prompts is not None and command.is_json:
        yield f"out of prompts=FILE is JSON anyway; leave {JSON_FLAG} out."
    if command.system is not None and not command.is_chat:
        yield "system is of conversations; set chat=true as well."
    if command.settings.logprobs is not None and not command.is_json and command.prompts is None:
        yield f"logprobs are shown with {JSON_FLAG}; add it, or leave logprobs out."
