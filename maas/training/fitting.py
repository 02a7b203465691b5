"""Fitting: from a recipe and its rows to a checkpoint, resumable after any interruption."""

import inspect
import logging
import pickle
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn

from maas.config import FILLED, RunConfig, build, target_of
from maas.data.datamodule import DataModule
from maas.data.splits import Splits
from maas.errors import ConfigError
from maas.runtime.processors import BaseProcessor
from maas.training.checkpoint import NetRecord
from maas.training.progress import EpochListener, History, progress, quiet
from maas.training.task import Task

log = logging.getLogger("maas")


@dataclass(frozen=True)
class Fitted:
    """What training gives.

    Args:
        net: with the weights of the best epoch, in evaluation mode.
        net_record: how to build it again.
        history: logged values, an entry each epoch.
        best_epoch: from 0.
    """

    net: nn.Module
    net_record: NetRecord
    history: tuple[dict[str, float], ...]
    best_epoch: int


def fit(
    config: RunConfig,
    splits: Splits,
    processor: BaseProcessor,
    resume_folder: Path,
    listener: EpochListener | None = None,
) -> Fitted:
    """Trains the recipe's net and returns its best epoch by the recipe's metric on validation data.

    Args:
        config: the recipe.
        splits: clean rows; test rows are not touched.
        processor: fitted on the training rows.
        resume_folder: holds Lightning's own checkpoints; if one is there, training goes on from it.
        listener: told of each epoch as it ends.

    Raises:
        ConfigError: a part refused its arguments.
    """
    quiet()
    seed_everything(config.seed, workers=True, verbose=False)
    net_record = resolve_net(config.model, {"outputs": len(splits.labels), **processor.net_arguments})
    net = build({"_target_": net_record.target, **net_record.arguments}, "model")
    _require_feeds(net, processor)
    task = Task(
        net,
        build(config.objective, "objective"),
        _deferred(config.optimizer, "optimizer"),
        _deferred(config.schedule, "schedule"),
        len(splits.labels),
    )
    history = History(listener)
    keeper = ModelCheckpoint(
        dirpath=resume_folder,
        filename="best",
        monitor=f"validation_{config.metric}",
        mode="max",
        save_last=True,
        enable_version_counter=False,
    )
    trainer = _trainer(config.trainer, [history, keeper, *progress()], resume_folder)
    if trainer.world_size > 1:
        raise ConfigError(
            f"The trainer asks for {trainer.world_size} processes; this version trains in one. Set trainer.devices=1."
        )
    last = _usable(resume_folder / "last.ckpt")
    trainer.fit(
        task,
        datamodule=DataModule(splits, processor, config.batch_size, config.seed),
        ckpt_path=last,
        weights_only=False,  # our own file: it holds the state of callbacks too
    )
    if trainer.interrupted:
        raise KeyboardInterrupt
    if not keeper.best_model_path:
        raise ConfigError(
            "No epoch was kept: training takes at least one epoch, and rows to validate on. Look at "
            "trainer.max_epochs, trainer.limit_val_batches and trainer.fast_dev_run."
        )
    best = torch.load(keeper.best_model_path, weights_only=False, map_location="cpu")
    task.load_state_dict(best["state_dict"])
    return Fitted(net.cpu().eval(), net_record, tuple(history.epochs), int(best["epoch"]))


def resolve_net(part: Mapping[str, Any], facts: Mapping[str, int]) -> NetRecord:
    """Fills in what the data and the processor know and the recipe leaves out.

    Args:
        part: the recipe's `model`.
        facts: `outputs` (K), and what the processor tells.

    Returns:
        The net's target and all its arguments.

    Raises:
        ConfigError: the recipe contradicts the data, or a required argument is missing.
    """
    arguments = {key: value for key, value in part.items() if key not in ("_target_", "_partial_")}
    parameters = target_of(part["_target_"])[1]
    if "outputs" in arguments and arguments["outputs"] != facts["outputs"]:
        raise ConfigError(
            f"model.outputs is {arguments['outputs']}; the data has {facts['outputs']} labels. Leave model.outputs out."
        )
    filled = {key: value for key, value in facts.items() if key in parameters and key in FILLED}
    arguments = {**filled, **arguments}
    missing = [
        key
        for key in sorted(FILLED)
        if key in parameters and key not in arguments and parameters[key].default is parameters[key].empty
    ]
    if missing:
        raise ConfigError(f"model.{missing[0]} is missing and the processor does not tell it. Set model.{missing[0]}=…")
    return NetRecord(part["_target_"], arguments)


def _require_feeds(net: nn.Module, processor: BaseProcessor) -> None:
    """Raises ConfigError where the net's `forward` does not take what the processor gives, by name."""
    parameters = inspect.signature(net.forward).parameters
    missing = [name for name in processor.dynamic_axes if name not in parameters]
    if missing and not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        raise ConfigError(
            f"{type(net).__name__}.forward takes {', '.join(parameters) or 'nothing'}; the {processor.kind} processor "
            f"gives {', '.join(processor.dynamic_axes)}. Name its argument {missing[0]}."
        )


def _usable(path: Path) -> Path | None:
    """Returns Lightning's checkpoint if it can be read; one that a kill left torn is set aside with a warning."""
    if not path.is_file():
        return None
    try:
        torch.load(path, weights_only=False, map_location="cpu")
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        log.warning("%s cannot be read (%s); training starts from the beginning", path, error)
        path.unlink()
        return None
    return path


def _deferred(part: Mapping[str, Any], path: str) -> Any:
    """Returns a callable that builds the part once its first arguments are there."""

    def make(*arguments: Any) -> Any:
        try:
            return build({**part, "_partial_": True}, path)(*arguments)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{path} was refused by {part['_target_']}: {error}") from error

    return make


def _trainer(part: Mapping[str, Any], callbacks: list[Any], folder: Path) -> Trainer:
    own = {
        "logger": False,
        "enable_model_summary": False,
        "enable_progress_bar": sys.stdout.isatty(),
        "default_root_dir": str(folder),
    }
    make = build({**own, **part, "_partial_": True}, "trainer")
    try:
        trainer: Trainer = make(callbacks=[*build(list(part.get("callbacks") or []), "trainer.callbacks"), *callbacks])
    except (TypeError, ValueError, RuntimeError, MisconfigurationException) as error:
        raise ConfigError(f"trainer was refused by {part['_target_']}: {error}") from error
    return trainer
