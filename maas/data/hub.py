"""Data sets of the Hugging Face hub, and folders that `datasets` understands.

Files of separated values and of JSON are read as all others are; `datasets` would guess the types of each block.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import DatasetBuilder, DatasetDict, DownloadManager, load_dataset, load_dataset_builder
from datasets.exceptions import DatasetsError
from datasets.packaged_modules.csv.csv import Csv
from datasets.packaged_modules.json.json import Json

from maas.data.formats import TABLE_FORMATS, separated
from maas.data.preparing import parser_reason, prepared
from maas.data.tables import ArrowRows, arrow_parts
from maas.data.unpacking import PACKED_ENDINGS
from maas.errors import DataError

HUB_SPLITS = ("all", "train", "validation", "test")
"""Those that a training can use; `all` stands for rows not split yet."""
LOCATION_SETTINGS = frozenset({"name", "version", "data_dir", "data_files", "description", "sep", "delimiter"})
"""Settings of a builder of `datasets` that locate files, or that our reader takes too."""
HUB_ERRORS: tuple[type[Exception], ...] = (
    *(DatasetsError, DataError, pa.ArrowException),
    *(OSError, ValueError, RuntimeError),  # the network and files; names and settings; data sets that are scripts
)
"""What the hub's client, `datasets` and our readers raise."""
READABLE_ENDINGS = frozenset({".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson"})


def loaded(id: str, config: str | None = None, revision: str | None = None) -> dict[str, list[ArrowRows]]:  # noqa: A002
    """Loads the splits of a data set that a training can use.

    Args:
        id: OWNER/NAME or a folder.
        config: the data set's configuration.
        revision: a commit.

    Raises:
        DataError: it cannot be loaded.
    """
    try:
        tables = _loaded(id, config, revision)
    except HUB_ERRORS as error:
        raise DataError(f"The data set {id} cannot be loaded: {parser_reason(error)}") from error
    if set(tables) == {"train"}:
        tables = {"all": tables["train"]}
    return {split: tables[split] for split in HUB_SPLITS if split in tables}


def _loaded(id: str, config: str | None, revision: str | None) -> dict[str, list[ArrowRows]]:  # noqa: A002
    builder = load_dataset_builder(id, config, revision=revision)
    if is_untyped(builder):
        found = DownloadManager(builder.dataset_name, record_checksums=False).download(dict(builder.config.data_files))
        if paths := _readable(found):
            return {split: _read(builder, files) for split, files in paths.items()}
    found = load_dataset(id, config, revision=revision)
    tables = found if isinstance(found, DatasetDict) else {"all": found}
    return {str(split): arrow_parts(table) for split, table in tables.items()}


def _read(builder: DatasetBuilder, files: Sequence[Path]) -> list[ArrowRows]:
    if isinstance(builder, Csv):
        return [rows for file in files for rows in prepared(file, separated(builder.config.sep))]
    endings = [".json" if _ending(file) == ".json" else ".jsonl" for file in files]
    parts = [
        rows for file, ending in zip(files, endings, strict=True) for rows in prepared(file, TABLE_FORMATS[ending])
    ]
    names = dict.fromkeys(name for part in parts for name in part.names)
    return [part.with_columns(names) for part in parts]  # what an object lacks is null, in whichever file


def is_untyped(builder: DatasetBuilder) -> bool:
    """Returns whether a data set is CSV or JSON, declares no types, and is read in no special way."""
    if not isinstance(builder, Csv | Json) or builder.info.features is not None:
        return False
    usual = type(builder.config)()
    return all(
        getattr(builder.config, field.name) == getattr(usual, field.name)
        for field in fields(usual)
        if field.name not in LOCATION_SETTINGS
    )


def _readable(found: Mapping[Any, Any]) -> dict[str, list[Path]]:
    """Returns files by split; nothing where one of them is an archive of others, or has another ending."""
    paths = {str(split): [Path(file) for file in files] for split, files in found.items()}
    known = all(file.is_file() and _ending(file) in READABLE_ENDINGS for files in paths.values() for file in files)
    return paths if known else {}


def _ending(file: Path) -> str:
    return next((one.lower() for one in reversed(file.suffixes) if one.lower() not in PACKED_ENDINGS), "")
