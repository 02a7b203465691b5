"""What a bundle says of itself: `manifest.json`, strictly typed, with the digest of every file that it covers."""

from typing import Any

import msgspec

from maas.bounds import BatchSize, Threads
from maas.records.signature import Signature, TensorSpec

MANIFEST_VERSION = 2


class Lineage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a model comes from.

    Args:
        recipe: the recipe's name.
        overrides: what was changed on the command line.
        config_sha256: digest of the composed recipe.
        seed: the seed of every random choice.
        data_fingerprint: digest of the rows of all splits.
        git_commit: commit of the working directory, with `-dirty` where files differ; null outside a checkout.
        constraints_sha256: digest of the pins of this version of maas.
        maas_version: the version that made it.
    """

    recipe: str
    overrides: tuple[str, ...]
    config_sha256: str
    seed: int
    data_fingerprint: str
    git_commit: str | None
    constraints_sha256: str
    maas_version: str


class ServingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the model was measured, and how it is served unless a server has settings of its own."""

    batch_size: BatchSize = 32
    threads: Threads = 1


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a bundle.

    Args:
        schema_version: of this file.
        name: the model's name.
        task: e.g. `text-classification`; also the path of its REST route.
        precision: `fp32`, or the compression that was chosen.
        graphs: ONNX file of each role by the role's name; `predict` turns a batch of inputs into outputs.
        processor: kind and settings of the processor; one of several inputs has the kinds of its parts by name.
        postprocessor: kind and settings of the postprocessor.
        signature: raw inputs and outputs.
        serving: batch size and threads.
        lineage: where the model comes from.
        files: SHA-256 of each file by its path inside the bundle; `manifest.json` and `evidence.json` excepted.
        state: tensors that a graph keeps between steps; none for a model that answers in one step.
    """

    schema_version: int
    name: str
    task: str
    precision: str
    graphs: dict[str, str]
    processor: dict[str, Any]
    postprocessor: dict[str, Any]
    signature: Signature
    serving: ServingSettings
    lineage: Lineage
    files: dict[str, str]
    state: tuple[TensorSpec, ...] = ()
