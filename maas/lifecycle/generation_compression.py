"""The stage that makes a model that generates texts smaller, within a budget of perplexity on validation rows."""

import logging
import shutil
import tempfile
from pathlib import Path

from maas.compression.candidates import CandidateBuilder
from maas.compression.passes import PassContext
from maas.compression.store import CandidateStore
from maas.files import folder_published_whole
from maas.lifecycle.compressed import Compressed, searched
from maas.lifecycle.generation import GenerationSource
from maas.lifecycle.recipe import BuiltRecipe
from maas.lifecycle.stages import timed
from maas.run_folders.folder import RunFolder

log = logging.getLogger("maas")


def compress_generation(recipe: BuiltRecipe, folder: RunFolder, source: GenerationSource, key: str) -> Compressed:
    """Tries passes on the graph of a checkpoint that generates texts and keeps the chosen one in the run's folder.

    Args:
        recipe: what the checkpoint was trained by; its passes and budget.
        folder: folder of the run.
        source: the checkpoint and its rows.
        key: digest of all that candidates depend on beside the passes; what lies there by the same key stays.

    Raises:
        BudgetError: no search can be made by these passes.
        DataError: validation rows have no token to predict.
    """
    settings, place, seed = recipe.compression, folder.plain_candidates, recipe.training.seed
    with (
        timed(folder, "compress"),
        folder_published_whole(folder.compressed) as draft,
        tempfile.TemporaryDirectory() as scratch,
    ):
        evaluator = source.evaluator(source.build(Path(scratch), recipe), seed)
        log.info("compress  %s; %s tokens to choose by", ", ".join(settings.passes), evaluator.size)
        context = PassContext(None, source.rows, None, place, seed)
        record = searched(CandidateBuilder(evaluator, context, settings, CandidateStore(place, key)), draft)
    shutil.rmtree(place, ignore_errors=True)  # nothing in it took long
    log.info("compress  chosen: %s. %s", record.chosen, record.reason)
    return Compressed(folder.compressed, record)
