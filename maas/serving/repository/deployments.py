"""One model that is served, and what is served at one moment."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from urllib.parse import quote

import numpy as np

from maas.errors import shortened_value
from maas.records.signature import Signature, TensorSpec
from maas.runtime.bundle import Bundle
from maas.runtime.codec import Codec, Outputs
from maas.runtime.postprocessors import Postprocessor
from maas.serving.call import Call, Row, RowList
from maas.serving.engines import Engine
from maas.serving.faults import UnknownModelError


class DeploymentState(Enum):
    """Where a deployment stands in its life."""

    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    GONE = "gone"


@dataclass(eq=False)
class Deployment:
    """A version of a model, with the engine that runs it.

    Args:
        name: name that callers use.
        version: version of the model.
        bundle: directory that it came from.
        processor: reads raw rows.
        postprocessor: names the outputs.
        example_outputs: the graph's outputs for the first golden row, (1, …) each.
        engine: what runs it for many callers.
        state: changed by the repository alone.
    """

    name: str
    version: str
    bundle: Bundle
    processor: Codec
    postprocessor: Postprocessor
    example_outputs: Outputs
    engine: Engine
    state: DeploymentState = DeploymentState.LOADING

    @property
    def task(self) -> str:
        """The model's task, e.g. `text-classification`."""
        return self.bundle.manifest.task

    @cached_property
    def signature(self) -> Signature:
        """Raw inputs and outputs as tensors."""
        return Signature(self.processor.input_specs, self.postprocessor.specs)

    @cached_property
    def output_specs(self) -> dict[str, TensorSpec]:
        """Outputs as tensors, by name."""
        return {spec.name: spec for spec in self.signature.outputs}

    @cached_property
    def reply_metadata(self) -> tuple[tuple[bytes, bytes], ...]:
        """What every reply says of who answered."""
        return ((b"maas-model", quote(self.name).encode()), (b"maas-version", quote(self.version).encode()))

    async def outputs(self, rows: Sequence[Row]) -> Outputs:
        """Returns the graph's outputs for raw rows, (N, …) each.

        Raises:
            InputError: a row cannot be understood, there are none or too many, or an output is not finite.
            OverloadError: there is no room for them.
        """
        call = Call(model=self.name, version=self.version, inputs=RowList(rows), size_bytes=0)
        chunks = [chunk.outputs async for chunk in self.engine.submit(call)]
        return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


@dataclass(frozen=True)
class Snapshot:
    """What is served at one moment; it never changes.

    Args:
        deployments: those that are ready, one for each name, in the order of their loading.
    """

    deployments: tuple[Deployment, ...] = ()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of names, versions and bundles."""
        parts = [f"{one.name}\0{one.version}\0{one.bundle.digest}" for one in self.deployments]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @cached_property
    def by_name(self) -> dict[str, Deployment]:
        """Deployments by their names."""
        return {one.name: one for one in self.deployments}

    @cached_property
    def by_task(self) -> dict[str, Deployment]:
        """The first deployment of each task."""
        return {one.task: one for one in reversed(self.deployments)}

    @property
    def first(self) -> Deployment:
        """The deployment that answers where a call names none.

        Raises:
            UnknownModelError: nothing is served.
        """
        if not self.deployments:
            raise UnknownModelError("No model is served here yet. Try again once one is loaded.")
        return self.deployments[0]

    def find(self, name: str, version: str | None = None) -> Deployment:
        """Returns a deployment by its name and, if one is wanted, its version.

        Raises:
            UnknownModelError: it is not served; the message names what is.
        """
        found = self.by_name.get(name)
        if found is None:
            served = ", ".join(sorted(self.by_name)) or "none"
            raise UnknownModelError(f"No model {shortened_value(name)} is served here; there is {served}.")
        if version is not None and version != found.version:
            raise UnknownModelError(
                f"Model {name!r} is served in version {found.version}, not {shortened_value(version, '')}."
            )
        return found
