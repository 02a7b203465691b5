"""The command line of an entry, read once into a value. It is written in Hydra's grammar, and Hydra is not needed."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NoReturn

from maas.errors import ConfigError
from maas.overrides import key_of, require_each_once, with_home

ConfigView = Literal["job", "hydra", "all"]
JSON_FLAG = "--json"
"""Option of every verb: one JSON object is printed."""
UNKNOWN_OPTION = re.compile(r"arguments: --(?P<key>[a-z][\w.]*)(?:=| )(?P<value>[^\s-]\S*)")
"""A setting that was typed as other programs take theirs."""


@dataclass(frozen=True)
class CommandLine:
    """What was typed after the name of an entry.

    Args:
        verb: name of the entry.
        overrides: `key=value`, `+key=value` and `~key`.
        names: words that are none of these, such as models.
        config_dir: folder of the user's own parts and recipes.
        is_sweep: whether values of keys are tried in turn.
        view: what of the composed recipe is printed, instead of doing anything; None for nothing.
        package: the section that is printed alone; None for all.
        resolves: whether interpolations are resolved before they are printed.
        info: what Hydra prints of itself, instead of doing anything; None for nothing.
        wants_help: whether the usage is printed, instead of doing anything.
        flags: options of the entry's own, and `--json`, as they are typed.
    """

    verb: str
    overrides: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    config_dir: str | None = None
    is_sweep: bool = False
    view: ConfigView | None = None
    package: str | None = None
    resolves: bool = False
    info: str | None = None
    wants_help: bool = False
    flags: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, verb: str, arguments: Sequence[str], flags: Sequence[str] = ()) -> "CommandLine":
        """Reads arguments.

        Args:
            verb: name of the entry.
            arguments: without the program's name.
            flags: options of the entry's own, without values.

        Raises:
            ConfigError: an option is unknown or lacks its value, or a key is given twice.
        """
        parser = _parser(verb)
        for flag in dict.fromkeys((JSON_FLAG, *flags)):
            parser.add_argument(flag, action="append_const", dest="flags", const=flag)
        read = parser.parse_intermixed_args(list(arguments))
        words = [with_home(word) for word in read.words]
        require_no_lone_sign(words)
        overrides = tuple(word for word in words if "=" in word or word.startswith("~"))
        require_each_once(overrides)
        return cls(
            verb=verb,
            overrides=overrides,
            names=tuple(word for word in words if word not in overrides),
            config_dir=read.config_dir,
            is_sweep=read.multirun,
            view=read.cfg,
            package=read.package,
            resolves=read.resolve,
            info=read.info,
            wants_help=read.help,
            flags=frozenset(read.flags or ()),
        )

    @property
    def is_json(self) -> bool:
        """Whether one JSON object is to be printed."""
        return JSON_FLAG in self.flags

    def value(self, key: str) -> str | None:
        """Returns what a key is set to; None where it is not given."""
        return next((one.partition("=")[2] for one in self.overrides if one.partition("=")[0] == key), None)

    def without(self, keys: Sequence[str]) -> "CommandLine":
        """Returns the command line without keys that are an entry's own, and without names."""
        kept = tuple(one for one in self.overrides if key_of(one) not in keys)
        return replace(self, overrides=kept, names=())


def require_no_lone_sign(words: Sequence[str]) -> None:
    """Refuses blanks around `=`, which make words of their own of a key and its value.

    Raises:
        ConfigError: the words, and how they are written.
    """
    for place, word in enumerate(words):
        if word.startswith("="):
            parts = [*words[max(0, place - 1) : place], word, *(words[place + 1 : place + 2] if word == "=" else ())]
            raise ConfigError(f"{' '.join(parts)} has blanks beside =. Write {''.join(parts)}")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        found = UNKNOWN_OPTION.search(message)
        advice = f"Settings are key=value: write {found['key']}={found['value']}" if found else ""
        advice = advice or f"See maas {self.prog} --help."
        raise ConfigError(f"{message[:1].upper()}{message[1:]}. {advice}")


def _parser(verb: str) -> argparse.ArgumentParser:
    parser = _Parser(prog=verb, add_help=False, allow_abbrev=False)
    parser.add_argument("words", nargs="*")
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("-cd", "--config-dir")
    parser.add_argument("-c", "--cfg", choices=["job", "hydra", "all"])
    parser.add_argument("-p", "--package")
    parser.add_argument("--resolve", action="store_true")
    parser.add_argument(
        "-i", "--info", nargs="?", const="all",
        choices=["all", "config", "defaults", "defaults-tree", "plugins", "searchpath"],
    )  # fmt: skip
    parser.set_defaults(flags=None)
    return parser
