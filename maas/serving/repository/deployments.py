"""One model that is served, and what is served at one moment."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from urllib.parse import quote

import numpy as np

from maas.errors import InputError, shortened_value
from maas.records.signature import Signature, TensorSpec
from maas.runtime.bundle import Bundle
from maas.runtime.codec import Codec, Outputs
from maas.runtime.postprocessors import Postprocessor
from maas.serving.call import NORMAL, Call, Row, RowList
from maas.serving.engines import Engine, ModelEngine
from maas.serving.faults import UnknownModelError
from maas.serving.statistics import ModelStatistics

if TYPE_CHECKING:  # a server without such a model does not import what generates
    from maas.runtime.generation.generator import TextGenerator
    from maas.serving.engines.steps import StepsEngine

OneKind = TypeVar("OneKind", bound="ServedVersion")


class DeploymentState(Enum):
    """Where a deployment stands in its life."""

    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    GONE = "gone"


class ServedVersion:
    """A version of a model that is served, whatever it does."""

    name: str
    version: str
    bundle: Bundle
    engine: ModelEngine
    statistics: ModelStatistics
    state: DeploymentState

    @property
    def task(self) -> str:
        """The model's task, e.g. `text-classification`."""
        return self.bundle.manifest.task

    @cached_property
    def reply_metadata(self) -> tuple[tuple[bytes, bytes], ...]:
        """What every reply says of who answered."""
        return ((b"maas-model", quote(self.name).encode()), (b"maas-version", quote(self.version).encode()))


@dataclass(eq=False)
class GeneratingDeployment(ServedVersion):
    """A version of a model that generates texts, with the engine that runs it.

    Args:
        name: name that callers use.
        version: version of the model.
        bundle: directory that it came from.
        generator: tokenizer and context of the model.
        engine: what generates for many callers.
        statistics: what happened to it since it is served.
        state: changed by the repository alone.
    """

    name: str
    version: str
    bundle: Bundle
    generator: "TextGenerator"
    engine: "StepsEngine"
    statistics: ModelStatistics = field(default_factory=ModelStatistics)
    state: DeploymentState = DeploymentState.LOADING


@dataclass(eq=False)
class Deployment(ServedVersion):
    """A version of a model that predicts, with the engine that runs it.

    Args:
        name: name that callers use.
        version: version of the model.
        bundle: directory that it came from.
        processor: reads raw rows.
        postprocessor: names the outputs.
        example_outputs: the graph's outputs for the first golden row, (1, …) each.
        engine: what runs it for many callers.
        statistics: what happened to it since it is served.
        state: changed by the repository alone.
    """

    name: str
    version: str
    bundle: Bundle
    processor: Codec
    postprocessor: Postprocessor
    example_outputs: Outputs
    engine: Engine
    statistics: ModelStatistics = field(default_factory=ModelStatistics)
    state: DeploymentState = DeploymentState.LOADING

    @cached_property
    def signature(self) -> Signature:
        """Raw inputs and outputs as tensors."""
        return Signature(self.processor.input_specs, self.postprocessor.specs)

    @cached_property
    def optional_inputs(self) -> frozenset[str]:
        """Names of the inputs that a row may lack: its schema takes null for them."""
        properties = self.processor.row_schema.get("properties", {})
        return frozenset(name for name, schema in properties.items() if "null" in schema.get("type", ()))

    @cached_property
    def output_specs(self) -> dict[str, TensorSpec]:
        """Outputs as tensors, by name."""
        return {spec.name: spec for spec in self.signature.outputs}

    async def outputs(self, rows: Sequence[Row], size_bytes: int = 0, priority: int = NORMAL) -> Outputs:
        """Returns the graph's outputs for raw rows, (N, …) each.

        Args:
            rows: raw inputs.
            size_bytes: size of the inputs as they were sent, in bytes.
            priority: of the call.

        Raises:
            InputError: a row cannot be understood, there are none or too many, or an output is not finite.
            OverloadError: there is no room for them.
        """
        inputs = RowList(rows)
        call = Call(model=self.name, version=self.version, inputs=inputs, size_bytes=size_bytes, priority=priority)
        chunks = [chunk.outputs async for chunk in self.engine.submit(call)]
        return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


class VersionLabel(NamedTuple):
    """A name for a version of a model, such as an alias of the registry.

    Args:
        model: name of the model.
        label: name of the version.
        version: the version.
    """

    model: str
    label: str
    version: str


@dataclass(frozen=True)
class Snapshot:
    """What is served at one moment; it never changes.

    Args:
        deployments: those that predict: of each model the version first that answers where none is named, and that
            of the model first that answers where no model is named.
        labels: names of versions.
        generating: those that generate texts, in the same order.
    """

    deployments: tuple[Deployment, ...] = ()
    labels: tuple[VersionLabel, ...] = ()
    generating: tuple[GeneratingDeployment, ...] = ()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of names, versions, bundles and labels."""
        parts = [f"{one.name}\0{one.version}\0{one.bundle.digest}" for one in self.all]
        parts += ["\0".join(label) for label in sorted(self.labels)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @property
    def all(self) -> tuple[ServedVersion, ...]:
        """Whatever is served."""
        return (*self.deployments, *self.generating)

    @cached_property
    def by_name(self) -> dict[str, Deployment]:
        """The version of each model that answers where none is named."""
        return {one.name: one for one in reversed(self.deployments)}

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

    @property
    def listed(self) -> tuple[Deployment, ...]:
        """Every version of every model, each once, for those who list them."""
        return self.deployments

    @property
    def kinds(self) -> tuple[Deployment, ...]:
        """The first deployment of each task and signature: requests and replies of the others look the same."""
        seen: dict[tuple[str, Signature], Deployment] = {}
        for one in self.deployments:
            seen.setdefault((one.task, one.signature), one)
        return tuple(seen.values())

    def led_by(self, deployment: Deployment) -> "Snapshot":
        """Returns a snapshot where one of the deployments is the first, for what describes the first."""
        others = (one for one in self.deployments if one is not deployment)
        return Snapshot((deployment, *others), self.labels, self.generating)

    def for_task(self, task: str) -> Deployment:
        """Returns the first deployment of a task.

        Raises:
            UnknownModelError: none is served any more.
        """
        found = self.by_task.get(task)
        if found is None:
            raise UnknownModelError(f"No model for {task} is served here any more.")
        return found

    def versions(self, name: str) -> tuple[Deployment, ...]:
        """Returns the versions of a model, the one first that answers where none is named."""
        return tuple(one for one in self.deployments if one.name == name)

    def version_of(self, name: str, version: str) -> Deployment | None:
        """Returns a version of a model that predicts, if it is served."""
        return self._versions.get((name, version))

    def generating_version_of(self, name: str, version: str) -> GeneratingDeployment | None:
        """Returns a version of a model that generates, if it is served."""
        return self._generating_versions.get((name, version))

    def labels_of(self, deployment: ServedVersion) -> tuple[str, ...]:
        """Returns the labels of a version."""
        return tuple(one.label for one in self.labels if one[::2] == (deployment.name, deployment.version))

    def shown_version(self, deployment: ServedVersion) -> str:
        """Returns a version with its labels, for people."""
        labels = ", ".join(self.labels_of(deployment))
        return f"{deployment.version} ({labels})" if labels else deployment.version

    def find(self, name: str, version: str | None = None) -> Deployment:
        """Returns a deployment by its name and, if one is wanted, its version or a label of that.

        Raises:
            UnknownModelError: it is not served; the message names what is.
            InputError: it generates texts.
        """
        found = self.by_name.get(name) if version is None else self._versions.get((name, version))
        if found is not None:
            return found
        if name not in self.by_name:
            if any(one.name == name for one in self.generating):
                raise InputError(
                    f"Model {name!r} generates texts and does not predict; send it to /v1/chat/completions or "
                    "/v1/completions."
                )
            served = ", ".join(sorted({one.name for one in self.all})) or "none"
            raise UnknownModelError(f"No model {shortened_value(name)} is served here; there is {served}.")
        raise UnknownModelError(
            f"Model {name!r} is served in {self._shown_versions(name)}, not {shortened_value(version or '', '')}."
        )

    def find_generating(self, name: str | None) -> GeneratingDeployment:
        """Returns the deployment of a model that generates, or the first one where none is named.

        Raises:
            UnknownModelError: it is not served; the message names what is.
            InputError: it does not generate.
        """
        found = next((one for one in self.generating if name in (None, one.name)), None)
        if found is not None:
            return found
        names = ", ".join(dict.fromkeys(one.name for one in self.generating)) or "none is served here"
        if name is None or name in self.by_name:
            shown = "The first model" if name is None else f"Model {name!r}"
            raise InputError(f"{shown} does not generate texts; name one that does: {names}.")
        served = ", ".join(sorted({one.name for one in self.all})) or "none"
        raise UnknownModelError(f"No model {shortened_value(name)} is served here; there is {served}.")

    @cached_property
    def _versions(self) -> dict[tuple[str, str], Deployment]:
        return _by_version(self.deployments, self.labels)

    @cached_property
    def _generating_versions(self) -> dict[tuple[str, str], GeneratingDeployment]:
        return _by_version(self.generating, self.labels)

    def _shown_versions(self, name: str) -> str:
        shown = list(map(self.shown_version, self.versions(name)))
        return f"version {shown[0]}" if len(shown) == 1 else f"versions {', '.join(shown[:-1])} and {shown[-1]}"


def _by_version(deployments: Sequence[OneKind], labels: Sequence[VersionLabel]) -> dict[tuple[str, str], OneKind]:
    """Returns versions by the name of their model, and by their number or a label."""
    numbers = {(one.name, one.version): one for one in deployments}
    named = {(one.model, one.label): (one.model, one.version) for one in labels}
    return {label: numbers[version] for label, version in named.items() if version in numbers} | numbers
