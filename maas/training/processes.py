"""Several processes that train one net: which of them this one is, and what the first sends to the others.

They are started by torchrun or SLURM before any of them knows of a run, or by Lightning out of the first one's `fit`.
The first process alone writes, and continues after training; the others only help.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from torch import distributed

from maas.errors import ProcessError

FOLDER = "MAAS_RESUME_FOLDER"
BY_SEVERAL = ("strategy", "num_nodes", "devices")
"""Settings of a trainer of several processes."""
RANKS = ("RANK", "SLURM_PROCID", "LOCAL_RANK")
OWN_MESSAGE = "its own message, or the system's log, has the reason"
LOST = ("peer", "gloo", "nccl", "process group", "connection reset")
"""Words of which one stands in the message of gloo and NCCL when they lose a process."""


def alone(trainer: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of a trainer that works by itself, on one device."""
    return {**{key: value for key, value in trainer.items() if key not in BY_SEVERAL}, "devices": 1}


def is_first() -> bool:
    """Whether this process is the one that writes; a process alone is."""
    rank = next((os.environ[name] for name in RANKS if name in os.environ), "0")
    return int(rank) == 0 and int(os.environ.get("NODE_RANK", "0")) == 0


def send_folder(folder: Path | None) -> None:
    """Sends the folder of the training checkpoints to the other processes.

    Args:
        folder: of the run's training checkpoints; None lets the others end, as there is nothing to train.
    """
    if _started_together():
        _connect()
        distributed.broadcast_object_list([None if folder is None else str(folder)], src=0)
    elif folder is not None:
        os.environ[FOLDER] = str(folder.resolve())  # which processes inherit that Lightning starts


def received_folder() -> Path | None:
    """Returns what `send_folder` sent in the first process."""
    if not _started_together():
        return Path(os.environ[FOLDER])
    _connect()
    received: list[str | None] = [None]
    distributed.broadcast_object_list(received, src=0)
    return None if received[0] is None else Path(received[0])


@contextmanager
def together() -> Iterator[None]:
    """Ends the ties between the processes when training ends, and takes back what Lightning set for its own ones.

    Raises:
        ProcessError: another process ended too early.
    """
    before = dict(os.environ)
    try:
        yield
    except RuntimeError as error:
        if message := lost(error):
            raise message from error
        raise
    finally:
        if distributed.is_available() and distributed.is_initialized():
            distributed.destroy_process_group()
        for name in set(os.environ) - set(before):
            del os.environ[name]


def lost(error: Exception, reason: str = "") -> ProcessError | None:
    """Returns the error to raise for one that comes of a process that ended too early; None for any other error.

    Args:
        error: as it was caught here.
        reason: how the other process ended, where that is known.
    """
    is_several = distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
    if not is_several or not any(word in str(error).lower() for word in LOST):
        return None
    return ProcessError(
        f"Another process of this training ended, so this one cannot continue; "
        f"{reason or OWN_MESSAGE}. Start the same command again and training "
        f"resumes where it was. ({str(error).splitlines()[0][:200]})"
    )


def _started_together() -> bool:
    """Whether torchrun or SLURM started several processes."""
    if TorchElasticEnvironment.detect():
        return int(os.environ.get("WORLD_SIZE", "1")) > 1
    return SLURMEnvironment.detect() and int(os.environ.get("SLURM_NTASKS", "1")) > 1


def _connect() -> None:
    if distributed.is_initialized():
        return
    environment = TorchElasticEnvironment() if TorchElasticEnvironment.detect() else SLURMEnvironment()
    os.environ.setdefault("MASTER_ADDR", environment.main_address)
    os.environ.setdefault("MASTER_PORT", str(environment.main_port))
    if torch.cuda.is_available():
        torch.cuda.set_device(environment.local_rank() % torch.cuda.device_count())
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
        rank=environment.global_rank(),
        world_size=environment.world_size(),
    )
