"""Loads models, swaps them in, and lets the replaced ones finish.

A model is opened, compared with its golden outputs and measured away from the event loop; calls meanwhile run on the
one before. A version that gives other golden outputs than when it was made never gets in.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from maas.runtime.bundle import Bundle
from maas.serving.costs import measured
from maas.serving.engines.batch import BatchEngine
from maas.serving.executors import Lane
from maas.serving.repository.deployments import Deployment, DeploymentState, Snapshot


@dataclass(frozen=True)
class EngineSettings:
    """How models are run.

    Args:
        batch_size: largest number of rows in one run, instead of the bundle's.
        threads: ONNX Runtime's intra-op threads, instead of the bundle's.
        max_queue: largest number of rows that may wait for a model; one call takes at most half of them.
        max_pixels: largest picture that is decoded; null for as large as the formats' readers allow.
    """

    batch_size: int | None = None
    threads: int | None = None
    max_queue: int = 2048
    max_pixels: int | None = None


class Repository:
    """The deployments of one server.

    Args:
        settings: how models are run.
        observe_rows: receives a model's name and the number of rows of each of its runs.
    """

    def __init__(
        self,
        settings: EngineSettings | None = None,
        observe_rows: Callable[[str, int], None] = lambda name, rows: None,  # noqa: ARG005
    ) -> None:
        self.snapshot = Snapshot()
        self.lane = Lane("preprocess")
        self._settings = settings or EngineSettings()
        self._observe_rows = observe_rows
        self._draining: set[asyncio.Task[None]] = set()

    def open(self, folder: str | Path, *, name: str | None = None, version: str = "1") -> Deployment:
        """Opens a bundle, compares its golden outputs, measures it, and serves it.

        Args:
            folder: the bundle.
            name: name that callers use; the manifest's if null.
            version: version of the model.

        Raises:
            BundleError: it is not a whole bundle, or it gives other predictions than when it was made.
        """
        deployment = self._opened(folder, name, version)
        self.put(deployment)
        return deployment

    async def load(self, folder: str | Path, *, name: str | None = None, version: str = "1") -> Deployment:
        """Does the same away from the event loop; the deployment that it replaces finishes what it admitted.

        Raises:
            BundleError: it is not a whole bundle, or it gives other predictions than when it was made.
        """
        deployment = await asyncio.to_thread(self._opened, folder, name, version)
        replaced = self.put(deployment)
        if replaced is not None:
            task = asyncio.create_task(self._retire(replaced))
            self._draining.add(task)
            task.add_done_callback(self._draining.discard)
        return deployment

    def put(self, deployment: Deployment) -> Deployment | None:
        """Swaps in a snapshot with a deployment, and returns the one that it replaces."""
        replaced = self.snapshot.by_name.get(deployment.name)
        deployment.state = DeploymentState.READY
        if replaced is None:
            self.snapshot = Snapshot((*self.snapshot.deployments, deployment))
            return None
        self.snapshot = Snapshot(tuple(deployment if one is replaced else one for one in self.snapshot.deployments))
        replaced.state = DeploymentState.DRAINING
        return replaced

    async def close(self) -> None:
        """Finishes what was admitted."""
        for task in tuple(self._draining):
            await task
        for deployment in self.snapshot.deployments:
            deployment.state = DeploymentState.DRAINING
            await self._retire(deployment)
        self.lane.close()

    async def _retire(self, deployment: Deployment) -> None:
        await deployment.engine.drain()
        deployment.state = DeploymentState.GONE

    def _opened(self, folder: str | Path, name: str | None, version: str) -> Deployment:
        bundle = Bundle.open(folder)
        name = name or bundle.manifest.name
        predictor = bundle.make_predictor(threads=self._settings.threads)
        bundle.check_golden(predictor=predictor)  # with the batches that it was made with
        predictor.processor.max_pixels = self._settings.max_pixels
        predictor.batch_size = self._settings.batch_size or predictor.batch_size
        engine = BatchEngine(
            predictor,
            measured(predictor, bundle.golden.inputs),
            self.lane,
            max_queue=self._settings.max_queue,
            observe=partial(self._observe_rows, name),
        )
        outputs = predictor.outputs(bundle.golden.inputs[:1])
        return Deployment(name, version, bundle, predictor.processor, predictor.postprocessor, outputs, engine)
