"""The checkpoint: a trained net that can be rebuilt without its training, and without a pickle."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from safetensors.torch import load_file, save_file
from torch import nn

from maas.config import build
from maas.errors import CheckpointError
from maas.files import folder_published_whole, sha256_of
from maas.runtime.evidence import DataRecord, Interval
from maas.runtime.manifest import Lineage
from maas.runtime.processors import BaseProcessor, load_processor

SCHEMA_VERSION = 1
WEIGHTS, RECORD, PROCESSOR = "weights.safetensors", "checkpoint.json", "processor"


class NetRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to build the net: an import path and its arguments."""

    target: str
    arguments: dict[str, Any]


class CheckpointRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a checkpoint says of itself.

    Args:
        schema_version: of this file.
        name: the model's name.
        task: what was learnt.
        net: how to build the net.
        plan: how the built net was pruned; null where it was not.
        processor: kind and settings.
        labels: the K names, in the order of the logits.
        history: logged values, an entry each epoch.
        best_epoch: whose weights these are.
        metrics: on validation data.
        data: the rows it was trained on.
        lineage: where it comes from.
        files: SHA-256 of the weights and of the processor's files, by path.
    """

    schema_version: int
    name: str
    task: str
    net: NetRecord
    plan: dict[str, Any] | None
    processor: dict[str, Any]
    labels: tuple[str, ...]
    history: tuple[dict[str, float], ...]
    best_epoch: int
    metrics: dict[str, Interval]
    data: DataRecord
    lineage: Lineage
    files: dict[str, str]


@dataclass(frozen=True)
class Checkpoint:
    """A trained net on disk.

    Args:
        folder: where it lies.
        record: how it was made and how to rebuild it.
    """

    folder: Path
    record: CheckpointRecord

    @classmethod
    def open(cls, folder: str | Path) -> "Checkpoint":
        """Opens a checkpoint and checks the digest of each of its files.

        Raises:
            CheckpointError: it is not a checkpoint, or it was altered.
        """
        folder = Path(folder)
        try:
            record = msgspec.json.decode((folder / RECORD).read_bytes(), type=CheckpointRecord)
        except FileNotFoundError as error:
            raise CheckpointError(
                f"{folder} holds no {RECORD}; train first: python -m maas.train recipe=NAME."
            ) from error
        except msgspec.DecodeError as error:
            raise CheckpointError(f"{folder / RECORD} cannot be read: {error}.") from error
        if record.schema_version != SCHEMA_VERSION:
            raise CheckpointError(
                f"{folder} has schema version {record.schema_version}; this maas reads {SCHEMA_VERSION}. Train again."
            )
        for name, digest in record.files.items():
            if not (folder / name).is_file() or sha256_of(folder / name) != digest:
                raise CheckpointError(f"{folder / name} is missing or was altered since training; train again.")
        return cls(folder, record)

    def net(self) -> nn.Module:
        """Builds the net with its trained weights, in evaluation mode."""
        try:
            net: nn.Module = build({"_target_": self.record.net.target, **self.record.net.arguments}, "net")
            net.load_state_dict(load_file(self.folder / WEIGHTS))
        except Exception as error:  # whatever the net's own code raises
            raise CheckpointError(f"{self.record.net.target} cannot be rebuilt from {self.folder}: {error}") from error
        return net.eval()

    def processor(self) -> BaseProcessor:
        """Loads the processor that the net was trained with."""
        return load_processor(self.record.processor, self.folder / PROCESSOR)


def save_checkpoint(
    folder: Path, net: nn.Module, processor: BaseProcessor, *, net_record: NetRecord, **record: Any
) -> Checkpoint:
    """Writes a checkpoint, whole or not at all.

    Args:
        folder: where to.
        net: whose weights are kept.
        processor: fitted.
        net_record: how to build the net again.
        record: the fields of `CheckpointRecord` that net and processor do not give.
    """
    with folder_published_whole(folder) as draft:
        state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in net.state_dict().items()}
        save_file(state, draft / WEIGHTS)
        processor.save(draft / PROCESSOR)
        files = sorted(file for file in draft.rglob("*") if file.is_file())
        content = CheckpointRecord(
            schema_version=SCHEMA_VERSION,
            net=net_record,
            processor=processor.record(),
            files={file.relative_to(draft).as_posix(): sha256_of(file) for file in files},
            **record,
        )
        (draft / RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
    return Checkpoint.open(folder)
