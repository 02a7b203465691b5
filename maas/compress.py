"""Makes a model smaller and faster, within a budget.

usage: python -m maas.compress recipe=NAME [key=value …]
       python -m maas.compress MODEL calibration=ROWS out=FOLDER [key=value …]

The first form takes the newest checkpoint of a recipe. The second takes an imported model:

    MODEL        an ONNX file, a bundle's folder, or models:/NAME@ALIAS or models:/NAME/VERSION in the registry
    calibration  rows that it can answer. For an ONNX file: FILE.npz with an array for each of its inputs, rows first,
                 and maybe `targets`. For a bundle: lines of text (.txt), a folder of pictures or sounds, a table
                 (.csv, .jsonl, .parquet), or arrays `inputs` and maybe `targets` (.npz, .npy)
    out          the folder to write: a bundle for a bundle, an ONNX file for an ONNX file, with what was measured
    input=COLUMN, label=COLUMN   of a table: what holds the inputs, and what is to be answered
    metric=NAME  that the budget's drop is of (accuracy; r2 of values), where there are targets
    output=NAME, gives=KIND      of an ONNX file: the output to evaluate, and what it gives: probabilities, logits,
                 probability, logit, value or embedding
    compress, export, seed       as in a recipe, e.g. compress=int8 compress.budget.max_drop=0.5 (compress=graph)

It ends with status 3 where nothing keeps the budget and the model stays as it was; `maas.run` goes on with it and ends
with 0.

example: python -m maas.compress model.onnx calibration=rows.npz out=small
"""

import sys
import typing
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path

import maas
from maas import cli
from maas.config import recipes, register, register_recipe
from maas.errors import ConfigError
from maas.importing.meaning import Gives
from maas.lifecycle.elsewhere import compress_bundle, compress_file
from maas.lifecycle.subject import Given
from maas.opening import load_model
from maas.records.evidence import CompressionRecord

OUT, ELSEWHERE = "out", "elsewhere"
OWN = (OUT, *(field.name for field in fields(Given)))
SECTIONS = ("compress", "export", "seed")
Compress = Callable[[maas.RunConfig], CompressionRecord]


def main() -> None:
    """Compresses."""
    given = cli.overrides_given()
    models = [one for one in given if "=" not in one and not one.startswith("~")]
    if {"-h", "--help"} & set(sys.argv[1:]):
        cli.say(f"{(__doc__ or '').strip()}\n")
    if not models:
        cli.run("compress", _compress)
        return
    with cli.reported("compress"):
        stage = _stage(models, given)
    own = {one for one in given if one in models or _key(one) in OWN}
    sys.argv[1:] = [f"recipe={ELSEWHERE}", *(one for one in sys.argv[1:] if one not in own)]
    register_recipe(ELSEWHERE, {"defaults": [{"override /compress": "graph"}], "name": ELSEWHERE})
    cli.run("compress", partial(_compress_elsewhere, stage))


def _compress(config: maas.RunConfig) -> None:
    checkpoint = maas.lifecycle.newest_checkpoint(config)
    compressed = maas.lifecycle.compress(config, checkpoint)
    _conclude(compressed.record, compressed.folder)


def _compress_elsewhere(stage: tuple[Compress, Path], config: maas.RunConfig) -> None:
    _conclude(stage[0](config), stage[1])


def _conclude(record: CompressionRecord, folder: Path) -> None:
    cli.say(f"chosen: {record.chosen}. {record.reason}\ncompressed: {folder}")
    if record.is_unmet:
        sys.exit(cli.UNMET_STATUS)


def _stage(models: Sequence[str], given: Sequence[str]) -> tuple[Compress, Path]:
    """Reads the command line of the second form.

    Raises:
        ConfigError: something is missing, or does not bear on an imported model.
        MaasError: the bundle cannot be opened.
    """
    if len(models) > 1:
        raise ConfigError(f"{', '.join(models)}: compress takes one model. See maas compress --help.")
    for one in given:
        if "=" in one and _key(one) not in OWN + SECTIONS:
            raise ConfigError(
                f"{one} does not bear on {models[0]}, which is imported; set {', '.join(OWN)}, or what lies in "
                f"{', '.join(SECTIONS)}."
            )
    register()
    if models[0] in recipes() or models[0].endswith((".yaml", ".yml")):
        raise ConfigError(
            f"{models[0]} is a recipe. Write maas compress recipe={models[0]}; a model is a file or a folder."
        )
    told = {_key(one): one.partition("=")[2] for one in given if _key(one) in OWN and "=" in one}
    for name in ("calibration", OUT):
        if not told.get(name):
            raise ConfigError(f"{name} is missing. Set {name}=PATH; see maas compress --help.")
    if told.get("gives", "value") not in typing.get_args(Gives):
        raise ConfigError(f"gives is {told['gives']}; it must be one of {', '.join(typing.get_args(Gives))}.")
    out = Path(told.pop(OUT))
    rows = Given(calibration=Path(told.pop("calibration")), **typing.cast("dict[str, typing.Any]", told))
    model = load_model(models[0])
    if isinstance(model, Path):
        return lambda config: compress_file(config, model, rows, out), out
    return lambda config: compress_bundle(config, model, rows, out), out


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0].partition(".")[0]


if __name__ == "__main__":
    main()
