"""From a bundle to a deployment: opened, compared with its golden outputs, measured; at once or by its first call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from maas.errors import ConfigError
from maas.runtime.bundle import Bundle
from maas.runtime.codec import Outputs
from maas.runtime.model import Predictor
from maas.runtime.postprocessors import Postprocessor, load_postprocessor
from maas.runtime.searched_rows import SearchedRows
from maas.serving.costs import measured
from maas.serving.engines import Engine
from maas.serving.engines.batch import BatchEngine
from maas.serving.engines.lazy import LazyEngine, ModelMemory
from maas.serving.entries import LocatedEntry
from maas.serving.executors import Cores, Lane
from maas.serving.repository.deployments import Deployment, PredictingDeployment
from maas.serving.repository.slots import EngineSettings
from maas.serving.statistics import ModelStatistics


@dataclass(frozen=True)
class Opener:
    """Opens bundles.

    Args:
        lane: thread that preprocesses for all models.
        memory: of the models that are loaded by their first call.
        cores: that the runs of all models share.
        observe_rows: receives a model's name, its version and the number of rows of each of its runs.
    """

    lane: Lane
    memory: ModelMemory
    cores: Cores
    observe_rows: Callable[[str, str, int], None]

    def opened(self, model: LocatedEntry, settings: EngineSettings) -> Deployment:
        """Opens a bundle, compares its golden outputs and measures it; a lazy one's files are compared alone.

        Raises:
            BundleError: it is not a whole bundle, or it gives other predictions or texts than when it was made.
            ConfigError: it writes texts token by token, and is to be loaded by its first call.
        """
        bundle = Bundle.open(model.folder)
        if bundle.is_generative:
            from maas.serving.repository.generating import opened_generating  # noqa: PLC0415  it brings tokenizers

            return opened_generating(bundle, model, settings, self.lane, self.observe_rows)
        name = model.name or bundle.manifest.name
        if model.entry.lazy and bundle.manifest.search is not None:
            raise ConfigError(
                f"Model {name} writes texts of what it reads, and such models cannot be lazy. Leave lazy out."
            )
        statistics, observe = ModelStatistics(), partial(self.observe_rows, name, model.version)
        if not model.entry.lazy:
            predictor = _checked(bundle, settings)
            engine: Engine = self._engine(bundle, predictor, settings, statistics, observe)
            processor, postprocessor = predictor.processor, predictor.postprocessor
            outputs = predictor.outputs(bundle.golden.inputs[:1])
        else:
            processor, postprocessor = bundle.load_processor(), load_postprocessor(bundle.manifest.postprocessor)
            processor.max_pixels = settings.max_pixels
            engine = LazyEngine(
                name,
                partial(self._loaded, bundle, settings, statistics, observe),
                self.memory,
                settings.max_queue,
                size_of_files(bundle),
            )
            outputs = outputs_like(bundle.golden.scores[:1], postprocessor)
        return PredictingDeployment(name, model.version, bundle, processor, postprocessor, outputs, engine, statistics)

    def _loaded(
        self, bundle: Bundle, settings: EngineSettings, statistics: ModelStatistics, observe: Callable[[int], None]
    ) -> BatchEngine:
        """Returns the engine of a lazy model."""
        return self._engine(bundle, _checked(bundle, settings), settings, statistics, observe)

    def _engine(
        self,
        bundle: Bundle,
        predictor: Predictor,
        settings: EngineSettings,
        statistics: ModelStatistics,
        observe: Callable[[int], None],
    ) -> BatchEngine:
        costs = measured(predictor, bundle.golden.inputs)
        return BatchEngine(
            predictor,
            costs if bundle.manifest.search is None else costs.in_a_thread(),  # a text of any length may follow
            self.lane,
            cores=self.cores,
            max_queue=settings.max_queue,
            max_wait_s=settings.max_wait_s,
            observe=observe,
            statistics=statistics,
        )


def _checked(bundle: Bundle, settings: EngineSettings) -> Predictor:
    """Returns a predictor that predicts the golden inputs as when the bundle was made."""
    predictor = bundle.make_predictor(threads=settings.threads)
    bundle.check_golden(predictor=predictor)  # with the batches that it was made with
    predictor.processor.max_pixels = settings.max_pixels
    predictor.batch_size = settings.batch_size or predictor.batch_size
    if isinstance(predictor.processor, SearchedRows):
        predictor.processor.max_beams = min(settings.max_beams, predictor.batch_size)
    return predictor


def size_of_files(bundle: Bundle) -> int:
    """Returns the bytes of a bundle's files."""
    return sum((bundle.folder / name).stat().st_size for name in bundle.manifest.files)


def outputs_like(scores: Sequence[Sequence[float]], postprocessor: Postprocessor) -> Outputs:
    """Returns outputs of a graph for which a postprocessor gives some scores, without running the graph.

    Scores are the graph's numbers, or a·x + b of them.

    Args:
        scores: (N, K).
        postprocessor: of the model.
    """
    wanted = np.array(scores, np.float64)
    width = wanted.shape[1]
    shape = (len(wanted), *(width if size == -1 else size for size in postprocessor.specs[-1].shape[1:]))
    zero, one = (postprocessor.scores({postprocessor.output: np.full(shape, value, np.float32)}) for value in (0, 1))
    return {postprocessor.output: ((wanted - zero) / (one - zero)).reshape(shape).astype(np.float32)}
