"""JSON Schemas of a bundle's files, `*.schema.json` in this folder; `python -m maas.runtime.schemas` writes them."""

from pathlib import Path
from typing import Any

import msgspec

from maas.runtime.evidence import Evidence
from maas.runtime.manifest import Manifest

FOLDER = Path(__file__).parent
KINDS: dict[str, Any] = {"manifest": Manifest, "evidence": Evidence}


def schema_bytes(name: str) -> bytes:
    """Returns the JSON Schema of `manifest` or `evidence`, made from the types that read and write the file."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(KINDS[name])}
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"
