"""The order of the stages, and nothing else: train, compress, export, verify, register; `run` is all of them.

Each stage takes the recipe and what the stage before it left on disk, and leaves a folder that proves itself.
"""

import logging
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from maas.compression.naming import PARENT
from maas.config import RunConfig
from maas.data.splits import Splits
from maas.errors import ConfigError
from maas.exporting.source import Source
from maas.files import folder_published_whole
from maas.lifecycle.compressed import Compressed
from maas.lifecycle.generation import GenerationSource, export_generation, verify_generation
from maas.lifecycle.generation_compression import compress_generation
from maas.lifecycle.line_card import line_card
from maas.lifecycle.lineage import candidates_key, own_code, work_key
from maas.lifecycle.lookup import (
    bundle_of,
    checkpoint_of,
    compressed_by,
    compressed_of,
    newest_bundle,
    newest_checkpoint,
    uncompressed_bundle_in,
)
from maas.lifecycle.recipe import (
    GENERATION,
    SEQUENCE_TASKS,
    SPEECH_TO_TEXT,
    BuiltRecipe,
    require_later_stages,
    require_text_passes,
)
from maas.lifecycle.registering import register_bundle, require_registry
from maas.lifecycle.sequences import export_sequences, verify_sequences
from maas.lifecycle.stages import compress_source, export_source, verify_bundle
from maas.lifecycle.training import assist, train_checkpoint
from maas.records.evidence import Evidence
from maas.registry.catalogue.versions import ModelVersion
from maas.run_folders.folder import RunFolder, of_artifact
from maas.run_folders.lookup import claimed
from maas.runtime.bundle import Bundle
from maas.training import processes
from maas.training.callbacks import require_usable
from maas.training.checkpoint import Checkpoint

log = logging.getLogger("maas")
__all__ = [
    "Compressed",
    "Line",
    "checkpoint_of",
    "compress",
    "compressed_of",
    "export",
    "newest_bundle",
    "newest_checkpoint",
    "register",
    "run",
    "train",
    "verify",
]


@dataclass(frozen=True)
class Line:
    """What the whole line leaves.

    Args:
        folder: the run.
        checkpoint: what was trained.
        compressed: None where no pass is requested of a model that generates texts.
        bundle: what ships.
        version: None where the recipe has no registry.
        was_finished: whether an earlier call did all of it.
    """

    folder: RunFolder
    checkpoint: Checkpoint
    compressed: Compressed | None
    bundle: Bundle
    version: ModelVersion | None
    was_finished: bool = False

    def _repr_html_(self) -> str:
        return line_card(self.folder, self.checkpoint, self.compressed, self.bundle, self.version)


def run(config: RunConfig) -> Line:
    """Takes a recipe through every stage; a run that was interrupted is resumed, and one that is finished is found.

    Of several processes that train together, the first alone continues; the others end after training.

    Args:
        config: the recipe.

    Returns:
        What each stage left.

    Raises:
        MaasError: a stage refused; what earlier stages left stays.
    """
    require_later_stages(config)
    recipe = BuiltRecipe.of(config)
    require_text_passes(recipe)
    require_usable(recipe.training)
    rows = recipe.training.rows()
    if not processes.is_first():
        assist(recipe.training, rows)
    with _claimed(config, rows) as folder:
        was_finished = folder.state.finished
        if was_finished:
            log.info("run       %s is finished already; resume=never trains once more", folder.path)
        require_registry(recipe, folder)
        checkpoint = _trained(recipe, folder, rows)
        compressed, bundle = _shipped(recipe, checkpoint, rows, folder)
        version = register_bundle(recipe, bundle, lambda: rows) if config.registry else None
        if not was_finished:
            folder.remember(finished=True)
            folder.point_latest()
    return Line(folder, checkpoint, compressed, bundle, version, was_finished)


def train(config: RunConfig) -> Checkpoint:
    """Trains the recipe's net on its data and keeps the best epoch; a checkpoint of the same recipe is found.

    Args:
        config: the recipe.

    Raises:
        ConfigError: a part refused its arguments.
        DataError: there are no rows to train on.
    """
    recipe = BuiltRecipe.of(config)
    require_usable(recipe.training)
    rows = recipe.training.rows()
    if not processes.is_first():
        assist(recipe.training, rows)
    with _claimed(config, rows) as folder:
        if folder.checkpoint.is_dir():
            log.info("train     %s is trained already; resume=never trains once more", folder.path)
        return _trained(recipe, folder, rows)


def compress(config: RunConfig, checkpoint: Checkpoint) -> Compressed:
    """Tries the recipe's passes on a checkpoint and chooses what keeps the budget; fp32 if nothing does.

    Args:
        config: the recipe.
        checkpoint: what was trained.

    Raises:
        BudgetError: no search can be made by these passes.
        ConfigError: the model generates texts, and no pass is requested, or one that it does not take.
    """
    require_later_stages(config)
    recipe = BuiltRecipe.of(config)
    require_text_passes(recipe)
    if config.task in (GENERATION, SPEECH_TO_TEXT) and not recipe.compression.passes:
        raise ConfigError(f"No pass is requested; python -m maas.export recipe={config.name} ships the model as it is.")
    folder = of_artifact(checkpoint.folder)
    with folder.locked():
        return _compressed(recipe, _source(recipe, checkpoint, recipe.training.rows()), folder)


def export(config: RunConfig, checkpoint: Checkpoint, compressed: Compressed | None = None) -> Bundle:
    """Writes the bundle and proves it; a bundle that cannot be proven is not written.

    Args:
        config: the recipe.
        checkpoint: what was trained.
        compressed: what was made of it; None ships the model as exported.

    Raises:
        ParityError: the bundle would not predict as the trained net does.
    """
    recipe = BuiltRecipe.of(config)
    folder = of_artifact(checkpoint.folder)
    with folder.locked():
        if config.task in SEQUENCE_TASKS:
            return export_sequences(recipe, folder, checkpoint, recipe.training.rows())
        return _exported(recipe, _source(recipe, checkpoint, recipe.training.rows()), folder, compressed)


def verify(config: RunConfig, checkpoint: Checkpoint, bundle: Bundle) -> Evidence:
    """Measures a bundle again, here and now, and replaces its evidence.

    Args:
        config: the recipe.
        checkpoint: what the bundle was made from.
        bundle: to prove; `Bundle.open(folder, check_evidence=False)` opens one whose evidence is broken.

    Raises:
        BundleError: it is not what would be made of the checkpoint.
        ParityError: it does not predict as the trained net does.
    """
    require_later_stages(config)
    recipe = BuiltRecipe.of(config)
    folder = of_artifact(checkpoint.folder)
    with folder.locked():
        if config.task == SPEECH_TO_TEXT:
            return verify_sequences(folder, checkpoint, recipe.training.rows(), bundle)
        source = _source(recipe, checkpoint, recipe.training.rows())
        if isinstance(source, GenerationSource):
            return verify_generation(recipe, folder, source, bundle, _made(config, checkpoint, bundle, PARENT))
        made = _made(config, checkpoint, bundle, source.precision)
        return verify_bundle(source, folder, bundle, recipe.export, made, recipe.baseline)


def register(config: RunConfig, bundle: Bundle) -> ModelVersion:
    """Makes a version of a bundle in the registry and moves the alias if the version is not worse.

    Args:
        config: the recipe.
        bundle: with evidence.

    Raises:
        RegistryError: the registry refused, or the recipe has none.
    """
    require_later_stages(config)
    recipe = BuiltRecipe.of(config)
    with of_artifact(bundle.folder).locked():
        return register_bundle(recipe, bundle, recipe.training.rows)


def _trained(recipe: BuiltRecipe, folder: RunFolder, rows: Splits) -> Checkpoint:
    """Returns the checkpoint of a run, which trains where it has none."""
    if not folder.checkpoint.is_dir():
        return train_checkpoint(recipe, folder, rows)
    processes.send_folder(None)
    return Checkpoint.open(folder.checkpoint)


def _shipped(
    recipe: BuiltRecipe, checkpoint: Checkpoint, rows: Splits, folder: RunFolder
) -> tuple[Compressed | None, Bundle]:
    """Returns what a checkpoint becomes: made smaller, unless it generates texts and no pass is requested; exported."""
    if recipe.config.task == SPEECH_TO_TEXT:
        return None, uncompressed_bundle_in(folder) or export_sequences(recipe, folder, checkpoint, rows)
    source = _source(recipe, checkpoint, rows)
    if recipe.config.task == GENERATION and not recipe.compression.passes:
        return None, uncompressed_bundle_in(folder) or _exported(recipe, source, folder, None)
    compressed = compressed_by(recipe.config, folder) or _compressed(recipe, source, folder)
    return compressed, bundle_of(compressed, folder) or _exported(recipe, source, folder, compressed)


def _source(recipe: BuiltRecipe, checkpoint: Checkpoint, rows: Splits) -> Source | GenerationSource:
    """Returns a checkpoint as what enters the later stages."""
    if recipe.config.task == GENERATION:
        return GenerationSource.of(checkpoint, rows)
    return recipe.source(checkpoint, rows)


def _compressed(recipe: BuiltRecipe, source: Source | GenerationSource, folder: RunFolder) -> Compressed:
    folder.remember(compression="")  # of what lies there, from here on
    key = candidates_key(recipe.config, source.rows.record.fingerprint)
    if isinstance(source, GenerationSource):
        compressed = compress_generation(recipe, folder, source, key)
    else:
        compressed = compress_source(
            source,
            folder,
            recipe.compression,
            tolerance=recipe.export.tolerance,
            seed=recipe.training.seed,
            key=key,
            training=recipe.training,
        )
    folder.remember(compression=recipe.config.compression_digest())
    return compressed


def _exported(
    recipe: BuiltRecipe, source: Source | GenerationSource, folder: RunFolder, compressed: Compressed | None
) -> Bundle:
    if isinstance(source, GenerationSource):
        return export_generation(recipe, folder, source, compressed)
    with folder_published_whole(folder.bundle) as draft:
        export_source(source, folder, draft, recipe.export, compressed, recipe.baseline)
    return Bundle.open(folder.bundle)


def _made(config: RunConfig, checkpoint: Checkpoint, bundle: Bundle, precision: str) -> Compressed | None:
    """Opens what compression made of a checkpoint where a bundle is of it, or would be by the recipe.

    Args:
        config: the recipe.
        checkpoint: what was trained.
        bundle: made of it.
        precision: of the bundle as it was exported.
    """
    if bundle.manifest.precision != precision:
        return Compressed.open(of_artifact(checkpoint.folder).compressed)
    return compressed_of(config, checkpoint)


def _claimed(config: RunConfig, rows: Splits) -> AbstractContextManager[RunFolder]:
    key = work_key(config, rows.record.fingerprint)
    root, may_resume = Path(config.runs_dir), config.resume == "auto"
    return claimed(root, config.name, key, config.training_digest(), may_resume=may_resume, sources=own_code(config))
