"""Makes a model smaller and faster, within a budget.

usage: python -m maas.compress recipe=NAME [key=value …]
       python -m maas.compress MODEL calibration=ROWS out=FOLDER [key=value …]
       python -m maas.compress MODEL out=FOLDER [texts=FILE] [key=value …]

The first form takes the newest checkpoint of a recipe. The second takes an imported model:

    MODEL        an ONNX file, a bundle's folder, or models:/NAME@ALIAS or models:/NAME/VERSION in the registry
    calibration  rows that it can predict. For an ONNX file: FILE.npz with an array for each of its inputs, rows first,
                 and maybe `targets`. For a bundle: lines of text (.txt), a folder of pictures or sounds, a table
                 (.csv, .jsonl, .parquet), or arrays `inputs` and maybe `targets` (.npz, .npy)
    out          the folder to write: a bundle for a bundle, an ONNX file for an ONNX file, with what was measured
    input=COLUMN, label=COLUMN   of a table: what holds the inputs, and what is to be predicted
    metric=NAME  that the budget's drop is of (accuracy; r2 of values), where there are targets
    output=NAME, gives=KIND      of an ONNX file: the output to evaluate, and what it gives: probabilities, logits,
                 probability, logit, value or embedding
    compress, export, seed       as in a recipe, e.g. compress=int8 compress.budget.max_drop=0.5 (compress=graph; of a
                 bundle that translates or writes down speech compress=sequences, whose label is the text of a row, and
                 whose drop is of chrF or of word accuracy)

The third takes a model that generates texts:

    MODEL        a bundle in fp32, or a pretrained decoder as maas export takes it, which becomes a bundle first
    out          the folder to write: a bundle
    texts=FILE   text in UTF-8 of the kind that it will continue, by which candidates are compared (chapters of the King
                 James Bible)
    tokens=N     how many tokens of it they are compared by, and as many prove the choice (8192)
    name=NAME, context=TOKENS, prompts=FILE   of a decoder, as maas export takes them
    compress, seed               as in a recipe, e.g. compress.budget.max_perplexity_ratio=1.03 (compress=generation)

It ends with status 3 where nothing keeps the budget and the model stays as it was; `maas.run` continues and ends
with 0.

examples: python -m maas.compress model.onnx calibration=rows.npz out=small
          python -m maas.compress assistant texts=notes.txt out=small
"""

import typing
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import maas
from maas import cli
from maas.command_line import CommandLine
from maas.config import recipe_names
from maas.errors import ConfigError
from maas.importing.meaning import Gives
from maas.lifecycle.compressed import Compressed
from maas.lifecycle.given import Given, compress_given
from maas.lifecycle.recipe import GRAPH_SECTIONS, GraphRecipe
from maas.lifecycle.smaller_decoder import DECODER_KEYS, SmallerDecoder, compress_decoder
from maas.lifecycle.smaller_sequences import compress_sequences
from maas.opening import load, load_model
from maas.outcomes import VerbOutcome, give, wants_json
from maas.overrides import key_of
from maas.records.evidence import CompressionRecord
from maas.registry.reading.addresses import MODELS
from maas.runtime.bundle import Bundle
from maas.runtime.bundle_files import MANIFEST

OUT = "out"
OWN = (OUT, *(field.name for field in fields(Given)))
"""Keys of the second form that are no sections."""

TEXTS_OWN = (OUT, *(field.name for field in fields(SmallerDecoder)))
"""Keys of the third form that are no sections."""

ON_EVERY_PROCESSOR = (
    "In a program of your own, let ONNX Runtime compute int8 as it was measured, also on processors without VNNI: "
    'SessionOptions().add_session_config_entry("session.x64quantprecision", "1").'
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Compresses."""
    with cli.reported("compress", is_json=wants_json(arguments)):
        line = cli.read("compress", arguments)
        if line.wants_help:
            cli.say(f"{(__doc__ or '').strip()}\n")
        if line.names and not line.wants_help:
            out = Path(line.value(OUT) or "")
            if (generative := _generative(line)) is not None:
                record, advice = _smaller(line, generative, out), ""
            else:
                record = _given(line, out)
                is_int8 = any(one.name == record.chosen and ".quantize_" in one.target for one in record.candidates)
                advice = f"{ON_EVERY_PROCESSOR}\n" if is_int8 else ""
            give(_outcome(record, out, advice), is_json=line.is_json)
        else:
            cli.follow(line, _compress, _shown)


def _compress(config: maas.RunConfig) -> Compressed:
    checkpoint = maas.lifecycle.newest_checkpoint(config)
    return maas.lifecycle.compress(config, checkpoint)


def _shown(compressed: Compressed, _: maas.RunConfig) -> VerbOutcome:
    return _outcome(compressed.record, compressed.folder)


def _outcome(record: CompressionRecord, folder: Path, advice: str = "") -> VerbOutcome:
    found = {"compressed": folder, "chosen": record.chosen, "reason": record.reason, "candidates": record.candidates}
    text = f"{advice}chosen: {record.chosen}. {record.reason}\ncompressed: {folder}"
    return VerbOutcome(found, text, cli.UNMET_STATUS if record.is_unmet else 0)


def _given(line: CommandLine, out: Path) -> CompressionRecord:
    """Makes the model of the second form smaller.

    Raises:
        ConfigError: something is missing, or does not apply to a model without a recipe.
        MaasError: the bundle cannot be opened.
    """
    _require_one_model(line, OWN)
    model, values = line.names[0], {key: line.value(key) for key in OWN}
    for name in ("calibration", OUT):
        if not values[name]:
            raise ConfigError(f"{name} is missing. Set {name}=PATH; see maas compress --help.")
    known = typing.get_args(Gives)
    if values["gives"] not in (None, *known):
        raise ConfigError(f"gives is {values['gives']}; it must be one of {', '.join(known)}.")
    own = {key: value for key, value in values.items() if value is not None and key not in (OUT, "calibration")}
    rows = Given(calibration=Path(values["calibration"] or ""), **typing.cast("dict[str, typing.Any]", own))
    found = load_model(model)
    own_line = line.without(OWN)
    if isinstance(found, Bundle) and found.manifest.search is not None:
        recipe = GraphRecipe.of(own_line.overrides, own_line.config_dir, generates=True, usual="sequences")
        return compress_sequences(recipe, found, rows, out)
    return compress_given(GraphRecipe.of(own_line.overrides, own_line.config_dir), found, rows, out)


def _generative(line: CommandLine) -> Bundle | str | None:
    """Returns the model of the third form: a bundle that generates, or the place of a decoder; None for the second.

    Raises:
        MaasError: a bundle cannot be opened.
    """
    model = line.names[0]
    if line.value("calibration") is not None or Path(model).suffix == ".onnx":
        return None
    _require_one_model(line, (*OWN, *TEXTS_OWN))
    if model.startswith(MODELS) or (Path(model) / MANIFEST).is_file():
        bundle = load(model)
        return bundle if bundle.is_generative else None
    return model


def _smaller(line: CommandLine, model: Bundle | str, out: Path) -> CompressionRecord:
    """Makes the model of the third form smaller.

    Raises:
        MaasError: something is missing or does not apply, or the model cannot be made smaller.
    """
    _require_one_model(line, TEXTS_OWN)
    values = {key: value for key in TEXTS_OWN if (value := line.value(key)) is not None}
    if not values.pop(OUT, ""):
        raise ConfigError(f"{OUT} is missing. Set {OUT}=FOLDER; see maas compress --help.")
    if isinstance(model, Bundle) and (unused := [key for key in DECODER_KEYS if key in values]):
        raise ConfigError(f"{unused[0]} applies to a decoder that is exported; {line.names[0]} is a bundle already.")
    recipe = GraphRecipe.of(line.without(TEXTS_OWN).overrides, line.config_dir, generates=True, usual="generation")
    return compress_decoder(recipe, model, SmallerDecoder.of(values), out)


def _require_one_model(line: CommandLine, own: Sequence[str]) -> None:
    """Requires a command line to name one model, and no more than its own keys and what a graph takes of a recipe.

    Raises:
        ConfigError: it does not.
    """
    model = line.names[0]
    if len(line.names) > 1:
        raise ConfigError(f"{', '.join(line.names)}: compress takes one model. See maas compress --help.")
    for one in line.overrides:
        if "=" in one and key_of(one).partition(".")[0] not in (*own, *GRAPH_SECTIONS):
            raise ConfigError(
                f"{one} does not apply to {model}, which comes without a recipe; set {', '.join(own)}, or what lies in "
                f"{', '.join(GRAPH_SECTIONS)}."
            )
    if model in recipe_names(line.config_dir) or model.endswith((".yaml", ".yml")):
        raise ConfigError(f"{model} is a recipe. Write maas compress recipe={model}; a model is a file or a folder.")


if __name__ == "__main__":
    main()
