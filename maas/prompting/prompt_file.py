"""Many prompts from a file, and their texts to another: a line for each, in their order.

The file that is written takes its place once it is whole. Until then its lines are in `FILE.unfinished`, a batch at a
time, so that the same command goes on after a kill, and writes the same bytes.
"""

import hashlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from maas.errors import ConfigError, InputError, MaasError, one_line
from maas.prompting.command import GenerationCommand
from maas.prompting.records import generated_record, prompt_of
from maas.prompting.unfinished_lines import UnfinishedLines
from maas.runtime.bundle import Bundle
from maas.runtime.generation.generator import Generated, Prompt, TextGenerator

ROUNDS = 4
"""Texts of a batch that follow each other in a slot: a text that ends early leaves room for the next one."""


class GivenPrompt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of a `.jsonl` file: one of both.

    Args:
        prompt: text to continue.
        messages: conversation to answer.
    """

    prompt: str | None = None
    messages: list[dict[str, object]] | None = None


class WrittenLine(msgspec.Struct, frozen=True):
    """The part of a written line that says whether it holds a text.

    Args:
        error: why there is none; None where there is one.
    """

    error: str | None = None


def generate_file(bundle: Bundle, command: GenerationCommand, prompts: Path, out: Path) -> int:
    """Writes a line for each prompt: its text, or why it has none; returns how many have none.

    Args:
        bundle: generates.
        command: how.
        prompts: a prompt in each line; of a `.jsonl` file, a JSON text, or an object with `prompt` or `messages`.
        out: file to write, which must not be there.

    Raises:
        ConfigError: a file cannot be read or written, or was begun by another command.
    """
    if out.exists():
        raise ConfigError(f"{out} is there already. Name another file by out=, or remove it.")
    rows = read_prompts(prompts, command)
    size = ROUNDS * bundle.manifest.serving.batch_size
    shown = [str(row) if isinstance(row, InputError) else row for row in rows]
    work = msgspec.json.encode([bundle.digest, command.settings, size, shown])
    with UnfinishedLines.of(out, hashlib.sha256(work).hexdigest(), size, len(rows)) as lines:
        for start in range(lines.count, len(rows), size):
            lines.add(_lines(bundle.generator, command, rows[start : start + size], start))
            sys.stderr.write(f"{lines.count:,} of {len(rows):,} prompts\n")
        return sum(msgspec.json.decode(line, type=WrittenLine).error is not None for line in lines.publish())


def read_prompts(path: Path, command: GenerationCommand) -> list[Prompt | InputError]:
    """Returns the prompts of a file; of a line that holds none, why.

    Raises:
        ConfigError: it cannot be read, or is empty.
    """
    try:
        lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"prompts is {path}, which cannot be read: {one_line(error)}.") from error
    if not lines:
        raise ConfigError(f"{path} holds no prompt; write one in each line.")
    if path.suffix == ".jsonl":
        return [_given(line, command) for line in lines]
    return [_as_typed(line.removesuffix("\r"), command) for line in lines]


def _given(line: str, command: GenerationCommand) -> Prompt | InputError:
    try:
        found = msgspec.json.decode(line, type=str | GivenPrompt)
    except msgspec.DecodeError as error:
        return InputError(f"The line is no prompt: {one_line(error)}. Write a JSON text, or prompt or messages.")
    if isinstance(found, str):
        return _as_typed(found, command)
    if (found.prompt is None) == (found.messages is None):
        return InputError("The line has neither prompt nor messages, or both; write one of them.")
    return _as_typed(found.prompt, command) if found.prompt is not None else (found.messages or [])


def _as_typed(text: str, command: GenerationCommand) -> Prompt:
    return prompt_of(text, is_chat=command.is_chat, system=command.system)


def _lines(
    generator: TextGenerator, command: GenerationCommand, rows: Sequence[Prompt | InputError], start: int
) -> Iterator[bytes]:
    """Yields the lines of some rows, generated together."""
    outcomes = iter(generator.outcomes([row for row in rows if not isinstance(row, InputError)], command.settings))
    for index, row in enumerate(rows, start):
        outcome: Generated | MaasError = row if isinstance(row, InputError) else next(outcomes)
        if isinstance(outcome, MaasError):
            yield msgspec.json.encode({"index": index, "error": str(outcome)})
        else:
            yield msgspec.json.encode({"index": index, **generated_record(outcome, generator.tokenizer)})
