"""Finding what earlier stages left, for stages that are run by themselves."""

import logging
from pathlib import Path

from maas.compression.naming import PARENT
from maas.config import RunConfig
from maas.lifecycle.compressed import Compressed
from maas.lifecycle.lineage import own_code
from maas.run_folders.folder import RunFolder, of_artifact
from maas.run_folders.lookup import newest_with
from maas.runtime.bundle import Bundle
from maas.training.checkpoint import Checkpoint

log = logging.getLogger("maas")


def newest_checkpoint(config: RunConfig) -> Checkpoint:
    """Opens the checkpoint of the recipe's newest run that has one.

    Raises:
        ConfigError: there is none.
    """
    return Checkpoint.open(_newest(config, "checkpoint", "train").checkpoint)


def newest_bundle(config: RunConfig, *, check_evidence: bool = True) -> Bundle:
    """Opens the bundle of the recipe's newest run that has one.

    Args:
        config: the recipe.
        check_evidence: also require that its evidence is about it; false opens what is to be measured again.

    Raises:
        ConfigError: there is none.
    """
    return Bundle.open(_newest(config, "bundle", "export").bundle, check_evidence=check_evidence)


def checkpoint_of(bundle: Bundle) -> Checkpoint:
    """Opens the checkpoint that lies in the same run as a bundle."""
    return Checkpoint.open(of_artifact(bundle.folder).checkpoint)


def compressed_of(config: RunConfig, checkpoint: Checkpoint) -> Compressed | None:
    """Opens what compression made of a checkpoint; None where there is none, or where no pass is requested now."""
    folder = of_artifact(checkpoint.folder).compressed
    found = Compressed.open(folder) if folder.is_dir() else None
    if found and found.record.chosen != PARENT and not config.compress["passes"]:
        log.info("compress  no pass is requested, so %s is left out; name the section that made it to ship it", folder)
        return None
    return found


def compressed_by(config: RunConfig, folder: RunFolder) -> Compressed | None:
    """Opens what the recipe's own `compress` section has made in a run; None where nothing or another one has."""
    is_own = folder.compressed.is_dir() and folder.state.compression == config.compression_digest()
    return Compressed.open(folder.compressed) if is_own else None


def uncompressed_bundle_in(folder: RunFolder) -> Bundle | None:
    """Opens the bundle in a run that ships its model in fp32; None where there is none, or another one."""
    bundle = _bundle_in(folder)
    return bundle if bundle and bundle.manifest.precision == PARENT else None


def bundle_of(compressed: Compressed, folder: RunFolder) -> Bundle | None:
    """Opens the bundle in a run that ships what compression chose; None where there is none, or another one."""
    bundle = _bundle_in(folder)
    return bundle if bundle and compressed.is_in(bundle) else None


def _bundle_in(folder: RunFolder) -> Bundle | None:
    return Bundle.open(folder.bundle) if folder.bundle.is_dir() else None


def _newest(config: RunConfig, artifact: str, stage: str) -> RunFolder:
    root, training = Path(config.runs_dir), config.training_digest()
    return newest_with(root, config.name, training, artifact=artifact, stage=stage, sources=own_code(config))
