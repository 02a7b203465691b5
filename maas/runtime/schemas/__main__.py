"""Writes the JSON Schemas anew."""

from maas.runtime.schemas import FOLDER, KINDS, schema_bytes

for kind in KINDS:
    (FOLDER / f"{kind}.schema.json").write_bytes(schema_bytes(kind))
