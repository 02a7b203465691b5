"""Makes a model smaller and faster, within a budget.

usage: python -m maas.compress recipe=NAME [key=value …]
       python -m maas.compress MODEL calibration=ROWS out=FOLDER [key=value …]

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
    compress, export, seed       as in a recipe, e.g. compress=int8 compress.budget.max_drop=0.5 (compress=graph)

It ends with status 3 where nothing keeps the budget and the model stays as it was; `maas.run` continues and ends
with 0.

example: python -m maas.compress model.onnx calibration=rows.npz out=small
"""

import sys
import typing
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

import maas
from maas import cli
from maas.command_line import CommandLine, key_of
from maas.config import recipe_names
from maas.errors import ConfigError
from maas.importing.meaning import Gives
from maas.lifecycle.given import Given, compress_given
from maas.lifecycle.recipe import GRAPH_SECTIONS, GraphRecipe
from maas.opening import load_model
from maas.records.evidence import CompressionRecord

OUT = "out"
OWN = (OUT, *(field.name for field in fields(Given)))
"""Keys of the second form that are no sections."""

ON_EVERY_PROCESSOR = (
    "In a program of your own, let ONNX Runtime compute int8 as it was measured, also on processors without VNNI: "
    'SessionOptions().add_session_config_entry("session.x64quantprecision", "1").'
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Compresses."""
    with cli.reported("compress"):
        line = cli.read("compress", arguments)
        if line.wants_help:
            cli.say(f"{(__doc__ or '').strip()}\n")
        if line.names and not line.wants_help:
            out = Path(line.value(OUT) or "")
            record = _given(line, out)(GraphRecipe.of(line.without(OWN).overrides, line.config_dir))
            if any(one.name == record.chosen and ".quantize_" in one.target for one in record.candidates):
                cli.say(ON_EVERY_PROCESSOR)
            _conclude(record, out)
        else:
            cli.follow(line, _compress)


def _compress(config: maas.RunConfig) -> None:
    checkpoint = maas.lifecycle.newest_checkpoint(config)
    compressed = maas.lifecycle.compress(config, checkpoint)
    _conclude(compressed.record, compressed.folder)


def _conclude(record: CompressionRecord, folder: Path) -> None:
    cli.say(f"chosen: {record.chosen}. {record.reason}\ncompressed: {folder}")
    if record.is_unmet:
        sys.exit(cli.UNMET_STATUS)


def _given(line: CommandLine, out: Path) -> Callable[[GraphRecipe], CompressionRecord]:
    """Reads the command line of the second form, and returns what compresses the model that it names.

    Raises:
        ConfigError: something is missing, or does not apply to a model without a recipe.
        MaasError: the bundle cannot be opened.
    """
    _require_one_model(line)
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
    return lambda recipe: compress_given(recipe, found, rows, out)


def _require_one_model(line: CommandLine) -> None:
    """Requires a command line of the second form to name one model, and no more than what applies to it.

    Raises:
        ConfigError: it does not.
    """
    model = line.names[0]
    if len(line.names) > 1:
        raise ConfigError(f"{', '.join(line.names)}: compress takes one model. See maas compress --help.")
    for one in line.overrides:
        if "=" in one and key_of(one).partition(".")[0] not in OWN + GRAPH_SECTIONS:
            raise ConfigError(
                f"{one} does not apply to {model}, which comes without a recipe; set {', '.join(OWN)}, or what lies in "
                f"{', '.join(GRAPH_SECTIONS)}."
            )
    if model in recipe_names(line.config_dir) or model.endswith((".yaml", ".yml")):
        raise ConfigError(f"{model} is a recipe. Write maas compress recipe={model}; a model is a file or a folder.")


if __name__ == "__main__":
    main()
