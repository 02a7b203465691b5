"""Writes a model that generates as the files that another engine takes.

usage: python -m maas.handover MODEL target=vllm out=FOLDER [weights=f32|f16]
       python -m maas.handover MODEL target=gguf out=FILE.gguf [weights=f32|f16|q8_0]

    MODEL    a bundle's folder, or models:/NAME@ALIAS or models:/NAME/VERSION in the registry, with weights in fp32
    target   vllm: a folder of Hugging Face, for vLLM, transformers, SGLang, TGI
             gguf: a GGUF file, for llama.cpp and what is built on it
    out      the folder or file to write, which must not be there
    weights  how matrices are stored: f32 as they are; f16 and q8_0 rounded (f32)

example: python -m maas.handover assistant target=gguf out=assistant.gguf weights=q8_0
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from maas import cli
from maas.command_line import CommandLine
from maas.errors import ConfigError
from maas.files import draft_of, folder_published_whole
from maas.handover.decoder import HandedDecoder, WeightType
from maas.handover.gguf_file import write_gguf
from maas.handover.hugging_face_folder import write_hugging_face_folder
from maas.opening import load
from maas.outcomes import VerbOutcome, give, wants_json
from maas.overrides import key_of
from maas.suggesting import hint_of

KEYS = ("target", "out", "weights")
STORED: Mapping[str, tuple[WeightType, ...]] = {"vllm": ("f32", "f16"), "gguf": ("f32", "f16", "q8_0")}
"""How each target may store matrices, the usual way first."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Hands a model over."""
    with cli.reported("handover", is_json=wants_json(arguments)):
        line = cli.read("handover", arguments)
        if line.wants_help or not (line.names or line.overrides) or "help" in line.names:
            cli.say((__doc__ or "").strip())
            return
        target, out, weights = _read(line)
        model = HandedDecoder.of(load(line.names[0]))
        if target == "vllm":
            with folder_published_whole(out, is_new=True) as draft:
                write_hugging_face_folder(model, draft, weights)
        else:
            _write_file(model, out, weights)
        give(VerbOutcome({"target": target, "out": out}, f"{target}: {out}"), is_json=line.is_json)


def _read(line: CommandLine) -> tuple[str, Path, WeightType]:
    """Returns target, place and kind of weights.

    Raises:
        ConfigError: a word is missing or unknown, or the place is taken.
    """
    if len(line.names) != 1:
        raise ConfigError(f"{len(line.names)} models are named; handover takes one. See maas handover --help.")
    if unknown := [one for one in line.overrides if key_of(one) not in KEYS or "=" not in one]:
        raise ConfigError(f"{unknown[0]} does not apply; set {', '.join(KEYS)}.{hint_of(key_of(unknown[0]), KEYS)}")
    target, out = line.value("target"), line.value("out")
    if target is None or target not in STORED:
        raise ConfigError(f"target is {target or 'missing'}; it must be {' or '.join(STORED)}.")
    if not out:
        raise ConfigError("out is missing. Set out=PLACE, a folder for vllm or a file for gguf.")
    if Path(out).exists():
        raise ConfigError(f"{out} is there already. Name another place by out=, or remove it.")
    given = line.value("weights") or STORED[target][0]
    weights = next((one for one in STORED[target] if one == given), None)
    if weights is None:
        raise ConfigError(f"weights is {given}; target={target} takes {', '.join(STORED[target])}.")
    return target, Path(out), weights


def _write_file(model: HandedDecoder, out: Path, weights: WeightType) -> None:
    """Writes a GGUF file that takes its place once it is whole."""
    draft = draft_of(out)
    try:
        write_gguf(model, draft, weights)
        draft.replace(out)
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}. Name another place by out=.") from error
    finally:
        with suppress(OSError):
            draft.unlink()


if __name__ == "__main__":
    main()
