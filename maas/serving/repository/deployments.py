"""One model that is served: a version of it, with the engine that runs it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np

from maas.records.signature import Signature, TensorSpec
from maas.runtime.bundle import Bundle
from maas.runtime.codec import Codec, Outputs
from maas.runtime.postprocessors import Postprocessor
from maas.serving.call import NORMAL, OUTPUT_VALUES_AT_ONCE, Call, Row, RowList, size_of_outputs
from maas.serving.engines import Engine, ModelEngine
from maas.serving.statistics import ModelStatistics

if TYPE_CHECKING:  # a server without such a model does not import what generates
    from maas.runtime.generation.generator import TextGenerator
    from maas.serving.engines.steps import StepsEngine


class DeploymentState(Enum):
    """Where a deployment stands in its life."""

    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    GONE = "gone"


class Deployment:
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
class GeneratingDeployment(Deployment):
    """A version of a model that generates texts, with the engine that runs it.

    Args:
        name: name that callers use.
        version: version of the model.
        bundle: directory that it came from.
        generator: tokenizer and context of the model.
        engine: what generates for many callers.
        example_prompts: what people may begin with.
        statistics: what happened to it since it is served.
        state: changed by the repository alone.
    """

    name: str
    version: str
    bundle: Bundle
    generator: "TextGenerator"
    engine: "StepsEngine"
    example_prompts: tuple[str, ...] = ()
    statistics: ModelStatistics = field(default_factory=ModelStatistics)
    state: DeploymentState = DeploymentState.LOADING


@dataclass(eq=False)
class PredictingDeployment(Deployment):
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

    @cached_property
    def gives_little(self) -> bool:
        """Whether the outputs for a row are a few values, of which there are always as many."""
        has_known_sizes = all(min(spec.shape[1:], default=1) > 0 for spec in self.signature.outputs)
        return has_known_sizes and size_of_outputs(self.example_outputs) <= OUTPUT_VALUES_AT_ONCE

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
