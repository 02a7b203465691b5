"""JSON Schemas of the records that a bundle holds, `*.schema.json` in this folder.

`python -m maas.records.schemas` writes them again.
"""

from pathlib import Path

import msgspec

from maas.records.evidence import Evidence
from maas.records.manifest import Manifest

SCHEMA_FOLDER = Path(__file__).parent
RECORD_TYPES: dict[str, type[msgspec.Struct]] = {"manifest": Manifest, "evidence": Evidence}


def schema_bytes(name: str) -> bytes:
    """Returns the JSON Schema of `manifest` or `evidence`, made from the types that read and write the file."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(RECORD_TYPES[name])}
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"


def main() -> None:
    """Writes the schema of each record."""
    for name in RECORD_TYPES:
        (SCHEMA_FOLDER / f"{name}.schema.json").write_bytes(schema_bytes(name))


if __name__ == "__main__":
    main()
