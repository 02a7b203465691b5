"""Loads models, swaps them in, and lets the replaced ones finish.

A model is opened, compared with its golden outputs and measured away from the event loop; calls meanwhile run on the
one before. A version that gives other golden outputs than when it was made never gets in.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from maas.errors import ConfigError, shortened_value
from maas.runtime.bundle import Bundle
from maas.serving.costs import measured
from maas.serving.engines.batch import BatchEngine
from maas.serving.executors import Lane
from maas.serving.repository.deployments import Deployment, DeploymentState, Snapshot
from maas.serving.repository.slots import EngineSettings, Slot, require_new, snapshot_from


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
        self._slots: list[Slot] = []
        self._default: str | None = None
        self._draining: set[asyncio.Task[None]] = set()

    def open(
        self,
        folder: str | Path,
        *,
        name: str | None = None,
        version: str = "1",
        labels: Sequence[str] = (),
        is_default: bool = False,
        settings: EngineSettings | None = None,
    ) -> Deployment:
        """Opens a bundle, compares its golden outputs, measures it, and serves it beside what is served.

        Args:
            folder: the bundle.
            name: name that callers use; the manifest's if null.
            version: version of the model.
            labels: other names of the version.
            is_default: whether it answers where a request names its model and no version; else the first does.
            settings: how it is run; the repository's if null.

        Raises:
            BundleError: it is not a whole bundle, or it gives other predictions than when it was made.
            ConfigError: the version is served already, or another version has a label.
        """
        settings = settings or self._settings
        deployment = self._opened(folder, name, version, settings)
        self._add(Slot(deployment, tuple(labels), is_default, settings))
        return deployment

    def set_default(self, name: str) -> None:
        """Lets a model answer where a request names none.

        Raises:
            ConfigError: it is not served.
        """
        if name not in self.snapshot.by_name:
            served = ", ".join(self.snapshot.by_name)
            raise ConfigError(f"default is {shortened_value(name)}, and the models are {served}. Name one of them.")
        self._default = name
        self.snapshot = snapshot_from(self._slots, name)

    async def load(self, folder: str | Path, *, name: str | None = None, version: str = "1") -> Deployment:
        """Opens a bundle away from the event loop, and serves it in place of the version that its model is known by.

        The version that it replaces finishes what it admitted. A model of another name is served beside the others.

        Raises:
            BundleError: it is not a whole bundle, or it gives other predictions than when it was made.
        """
        deployment = await asyncio.to_thread(self._opened, folder, name, version, self._settings)
        replaced = self.snapshot.by_name.get(deployment.name)
        if replaced is None:
            self._add(Slot(deployment, (), False, self._settings))
        else:
            slot = next(one for one in self._slots if one.deployment is replaced)
            self._swap(slot, deployment)
        return deployment

    async def close(self) -> None:
        """Finishes what was admitted."""
        for task in tuple(self._draining):
            await task
        for deployment in self.snapshot.deployments:
            deployment.state = DeploymentState.DRAINING
            await self._retire(deployment)
        self.lane.close()

    def _add(self, slot: Slot) -> None:
        require_new(slot, self._slots)
        self._slots.append(slot)
        slot.deployment.state = DeploymentState.READY
        self.snapshot = snapshot_from(self._slots, self._default)

    def _swap(self, slot: Slot, deployment: Deployment) -> None:
        """Puts a deployment in the place of another, which finishes what it admitted unless it has a second place."""
        replaced, slot.deployment = slot.deployment, deployment
        deployment.state = DeploymentState.READY
        self.snapshot = snapshot_from(self._slots, self._default)
        if replaced not in self.snapshot.deployments:
            replaced.state = DeploymentState.DRAINING
            task = asyncio.create_task(self._retire(replaced))
            self._draining.add(task)
            task.add_done_callback(self._draining.discard)

    async def _retire(self, deployment: Deployment) -> None:
        await deployment.engine.drain()
        deployment.state = DeploymentState.GONE

    def _opened(self, folder: str | Path, name: str | None, version: str, settings: EngineSettings) -> Deployment:
        bundle = Bundle.open(folder)
        name = name or bundle.manifest.name
        predictor = bundle.make_predictor(threads=settings.threads)
        bundle.check_golden(predictor=predictor)  # with the batches that it was made with
        predictor.processor.max_pixels = settings.max_pixels
        predictor.batch_size = settings.batch_size or predictor.batch_size
        engine = BatchEngine(
            predictor,
            measured(predictor, bundle.golden.inputs),
            self.lane,
            max_queue=settings.max_queue,
            observe=partial(self._observe_rows, name),
        )
        outputs = predictor.outputs(bundle.golden.inputs[:1])
        return Deployment(name, version, bundle, predictor.processor, predictor.postprocessor, outputs, engine)
