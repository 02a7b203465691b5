"""From data that a program holds to a proven model: `maas.fit(frame, target="price")`.

It does what `maas run DATA target=COLUMN` does for a file. What is in memory is first written beside the runs, named by
its content, so that the recipe that is written with it makes the same model again, without the program.
"""

import hashlib
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset
from numpy.typing import NDArray

from maas import lifecycle
from maas.config import RunConfig, compose
from maas.config.composing import require_texts
from maas.data.frames import arrow_table_of_frame, without_objects
from maas.data.labelled_values import TARGET, ArrowTable, is_one_column, labelled_table, shown_type
from maas.errors import DataError
from maas.files import write_atomically
from maas.inspecting import inspect_data, propose
from maas.inspecting.proposal import RecipeProposal, model_name
from maas.inspecting.recipe_text import recipe_text
from maas.overrides import HOME
from maas.suggesting import nearest_name

log = logging.getLogger("maas")

RUNS = "runs_dir"
TrainingData: TypeAlias = str | Path | pd.DataFrame | Dataset | ArrowTable | NDArray[Any] | Sequence[str]


def fit(
    data: TrainingData,
    target: str | Sequence[Any] | NDArray[Any] | None = None,
    *overrides: str,
    name: str | None = None,
    config_dir: str | Path | None = None,
    **sections: object,
) -> lifecycle.Line:
    """Chooses a model for data and takes it through the whole line: trained, compressed, exported, proven, registered.

    Args:
        data: a table's file, a folder of pictures or sounds by label, OWNER/NAME at the Hugging Face hub, a frame (of
            pandas, polars, pyarrow, or of whatever gives its columns as Arrow has them), a data set of `datasets`, an
            array of numbers (N, D), or N texts.
        target: name of the column to learn; N values for an array or for texts; None for a folder.
        *overrides: `key=value` as on the command line, e.g. `trainer.max_epochs=5`.
        name: name of the model; None takes that of the file, or of the target.
        config_dir: folder of parts of your own, as `maas.compose` takes it.
        **sections: values and sections of the recipe, as `maas.compose` takes them, e.g. `registry=None`.

    Returns:
        What each stage left; the model is `line.bundle`, its recipe lies in `runs/NAME/data/`.

    Raises:
        DataError: the data cannot be read, or nothing can be learnt of it.
        ConfigError: a setting is wrong.

    Example:
        >>> line = maas.fit(frame, target="price", registry=None)  # doctest: +SKIP
        >>> line.bundle.predict(frame.head(1))  # doctest: +SKIP
        [{'value': 326.4}]
    """
    return lifecycle.run(config_for(data, target, *overrides, name=name, config_dir=config_dir, **sections))


def config_for(
    data: TrainingData,
    target: str | Sequence[Any] | NDArray[Any] | None = None,
    *overrides: str,
    name: str | None = None,
    config_dir: str | Path | None = None,
    **sections: object,
) -> RunConfig:
    """Returns the recipe that `fit` takes through the line, checked; arguments and errors are those of `fit`."""
    if isinstance(data, str | Path):
        source, column = str(Path(data).expanduser() if str(data).startswith(HOME) else data), _column_name(target)
        proposal = propose(inspect_data(source), column, name)
    else:
        content, column = _parquet(data, target)
        name = name or model_name(column or TARGET)
        source = str(_kept(content, _folder(name, overrides, sections), "parquet"))
        proposal = _proposal_of_data(source, column, name)
    for left_out, reason in proposal.left_out.items():
        log.warning("data      %r is left out: %s", left_out, reason)
    text = recipe_text(proposal, "maas.fit", "this file")
    recipe = _kept(text.encode(), _folder(proposal.name, overrides, sections), "yaml")
    return compose(str(recipe), *overrides, config_dir=config_dir, **sections)


def _proposal_of_data(source: str, column: str | None, name: str) -> RecipeProposal:
    """Returns what could learn from data of a program; messages do not name the file that it was written to.

    Raises:
        DataError: nothing can be learnt of it.
    """
    try:
        return propose(inspect_data(source), column, name)
    except DataError as error:
        said = str(error).replace(source, "the data").replace("Set target=COLUMN", "Name it, e.g. target='price'")
        raise DataError(f"{said[:1].upper()}{said[1:]}".replace("Name a file that holds rows", "Give some")) from None


def _folder(name: str, overrides: Sequence[str], sections: dict[str, object]) -> Path:
    """Returns where a model's data and recipes are kept."""
    require_texts(overrides)
    given = [one.partition("=")[2] for one in overrides if one.partition("=")[0] == RUNS]
    return Path(str(sections.get(RUNS) or (given or ["runs"])[-1])) / name / "data"


def _kept(content: bytes, folder: Path, ending: str) -> Path:
    """Writes a file that is named by its content, unless it is there."""
    path = folder / f"{hashlib.sha256(content).hexdigest()[:16]}.{ending}"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    return path


def _parquet(data: object, target: object) -> tuple[bytes, str | None]:
    """Returns data of a program as a Parquet file, and the name of the column to learn.

    Raises:
        DataError: it is of another kind, or the targets are not as many as its rows.
    """
    content = io.BytesIO()
    if isinstance(data, Dataset):
        column = _column_of(data.column_names, target)
        data.to_parquet(content)
        return content.getvalue(), column
    if isinstance(data, pd.DataFrame) or (isinstance(data, ArrowTable) and not is_one_column(data)):
        is_frame = isinstance(data, pd.DataFrame)
        table = without_objects(arrow_table_of_frame(data, "the frame")) if is_frame else pa.table(data)
        column = _column_of(table.column_names, target)
    else:
        table, column = labelled_table(data, target), TARGET
    pq.write_table(table, content)
    return content.getvalue(), column


def _column_of(names: Sequence[str], target: object) -> str | None:
    """Returns the name of the column to learn, once it is one of these."""
    if not names:
        raise DataError("The data has no columns. Give it some, one of which is to be learnt.")
    is_number = isinstance(target, int | np.integer) and str(target) in names  # pandas' own names of columns
    column = str(target) if is_number else _column_name(target)
    if column is not None and column not in names:
        near = nearest_name(column, names)
        advice = f"Did you mean target={near!r}?" if near else f"Its columns are {', '.join(names)}."
        raise DataError(f"The data has no column {column!r}. {advice}")
    return column


def _column_name(target: object) -> str | None:
    if target is None or isinstance(target, str):
        return target
    raise DataError(
        f"target is {shown_type(target)}; data that has columns needs the name of one. Write e.g. target='price', "
        "after frame['price'] = …"
    )
