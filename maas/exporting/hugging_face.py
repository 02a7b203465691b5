"""Writing a net that holds a Hugging Face model as one ONNX file: optimum exports the model itself.

What follows it, a sentence encoder's pooling and a task head's activation, is added to the graph as nodes.
"""

import tempfile
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

import onnx
import torch
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper
from torch import nn

from maas.errors import ExportError, one_line
from maas.onnx_graphs.files import require_dynamic, write_graph
from maas.onnx_graphs.reading import Axes
from maas.training.heads import TaskHead

NEWEST_OPSET = 20
"""The newest one that optimum's exporter writes."""


class OptimumConfig(Protocol):
    """How optimum exports a kind of transformers model."""

    @property
    def inputs(self) -> Mapping[str, Mapping[int, str]]:
        """Input → axis that may have any size → name."""
        ...


def write_hugging_face_onnx(
    net: nn.Module,
    task_head: TaskHead,
    *,
    examples: Mapping[str, NDArray[Any]],
    axes: Axes,
    output: str,
    out: Path,
    opset: int,
) -> None:
    """Exports a net in this process, which should have exported nothing before.

    Args:
        net: net in evaluation mode; its `hugging_face` is a transformers model, whose logits or last hidden state it
            uses.
        task_head: what its logits mean.
        examples: the graph's inputs for a batch of real rows.
        axes: axes that may have any size: input → axis → name.
        output: name of the graph's output.
        out: file to write.
        opset: ONNX operator set.

    Raises:
        ExportError: optimum is not installed or cannot export such a model, an axis that must be dynamic was frozen,
            or the file would be too large.
    """
    if opset > NEWEST_OPSET:
        raise ExportError(f"export.opset is {opset}; Hugging Face models are exported with up to {NEWEST_OPSET}.")
    model = exported_by_optimum(cast("nn.Module", net.hugging_face), axes, opset)
    (result,) = model.graph.output
    if result.name == "last_hidden_state":
        model.graph.node.extend(pooled(result.name, "logits"))
    logits = "logits"
    if task_head.temperature != 1:
        model.graph.node.extend(divided(logits, "calibrated.logits", task_head.temperature))
        logits = "calibrated.logits"
    model.graph.node.extend(ACTIVATION_NODES[task_head.task](logits, output))
    del model.graph.output[:]
    model.graph.output.append(_output(net, task_head, examples, output))
    onnx.checker.check_model(model)
    require_dynamic(model, axes)
    write_graph(model, out)


def exported_by_optimum(model: nn.Module, axes: Axes, opset: int) -> onnx.ModelProto:
    """Returns a transformers model as optimum exports it, with the given inputs alone.

    Raises:
        ExportError: optimum is not installed, or does not export the model with these inputs.
    """
    optimum = _optimum()
    task = optimum.tasks.TasksManager.infer_task_from_model(model, library_name="transformers")
    try:
        make = optimum.tasks.TasksManager.get_exporter_config_constructor(
            "onnx", model=model, task=task, library_name="transformers"
        )
    except (KeyError, ValueError) as error:  # optimum does not know the type of model
        raise ExportError(f"optimum cannot export a {type(model).__name__}: {one_line(error)}.") from error
    config = _narrowed(make(model.config), axes)
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        path = Path(scratch) / "model.onnx"
        optimum.onnx.export(model, config, path, opset=opset)
        return onnx.load(path)


def pooled(hidden: str, output: str) -> list[NodeProto]:
    """Returns nodes: hidden states (N, T, D) and `attention_mask` (N, T) to their mean over the tokens, of length 1."""
    return [
        helper.make_node("Cast", ["attention_mask"], ["pool.mask"], to=TensorProto.FLOAT),
        _constant("pool.last", [2]),
        _constant("pool.tokens", [1]),
        _constant("pool.one", 1.0),
        _constant("pool.epsilon", 1e-12),
        helper.make_node("Unsqueeze", ["pool.mask", "pool.last"], ["pool.weights"]),  # (N, T, 1)
        helper.make_node("Mul", [hidden, "pool.weights"], ["pool.masked"]),
        helper.make_node("ReduceSum", ["pool.masked", "pool.tokens"], ["pool.sum"], keepdims=0),  # (N, D)
        helper.make_node("ReduceSum", ["pool.mask", "pool.tokens"], ["pool.count"], keepdims=1),  # (N, 1)
        helper.make_node("Max", ["pool.count", "pool.one"], ["pool.divisor"]),
        helper.make_node("Div", ["pool.sum", "pool.divisor"], ["pool.mean"]),
        helper.make_node("ReduceL2", ["pool.mean", "pool.tokens"], ["pool.norm"], keepdims=1),
        helper.make_node("Max", ["pool.norm", "pool.epsilon"], ["pool.length"]),
        helper.make_node("Div", ["pool.mean", "pool.length"], [output]),
    ]


def divided(logits: str, output: str, temperature: float) -> list[NodeProto]:
    """Returns nodes: logits divided by a temperature."""
    return [
        _constant("calibrated.factor", 1 / temperature),
        helper.make_node("Mul", [logits, "calibrated.factor"], [output]),
    ]


def softmax(logits: str, output: str) -> list[NodeProto]:
    """Returns nodes: logits (N, K) to probabilities (N, K)."""
    return [helper.make_node("Softmax", [logits], [output], axis=1)]


def softmax_of_one(logits: str, output: str) -> list[NodeProto]:
    """Returns nodes: logits z (N, 1) to the probabilities of both labels (N, 2), the softmax of −z/2 and z/2.

    It is σ(z) with both tails; ONNX Runtime's Sigmoid is 0 below −18.
    """
    return [
        _constant("both.half", 0.5),
        helper.make_node("Mul", [logits, "both.half"], ["both.positive"]),
        helper.make_node("Neg", ["both.positive"], ["both.negative"]),
        helper.make_node("Concat", ["both.negative", "both.positive"], ["both.logits"], axis=1),
        helper.make_node("Softmax", ["both.logits"], [output], axis=1),
    ]


def squeezed(logits: str, output: str) -> list[NodeProto]:
    """Returns nodes: logits (N, 1) to values (N,)."""
    return [_constant("value.axis", [1]), helper.make_node("Squeeze", [logits, "value.axis"], [output])]


def unchanged(logits: str, output: str) -> list[NodeProto]:
    """Returns nodes: vectors (N, D) as they are."""
    return [helper.make_node("Identity", [logits], [output])]


def sigmoids(logits: str, output: str) -> list[NodeProto]:
    """Returns nodes: logits z (N, K) to σ(z) of each, the second of the softmax of −z/2 and z/2."""
    return [
        _constant("each.half", 0.5),
        _constant("each.axis", [2]),
        _constant("each.second", [1]),
        helper.make_node("Mul", [logits, "each.half"], ["each.positive"]),
        helper.make_node("Neg", ["each.positive"], ["each.negative"]),
        helper.make_node("Unsqueeze", ["each.negative", "each.axis"], ["each.first"]),
        helper.make_node("Unsqueeze", ["each.positive", "each.axis"], ["each.last"]),
        helper.make_node("Concat", ["each.first", "each.last"], ["each.pairs"], axis=2),
        helper.make_node("Softmax", ["each.pairs"], ["each.probabilities"], axis=2),
        helper.make_node("Gather", ["each.probabilities", "each.second"], ["each.picked"], axis=2),
        helper.make_node("Squeeze", ["each.picked", "each.axis"], [output]),
    ]


ACTIVATION_NODES: dict[str, Callable[[str, str], list[NodeProto]]] = {
    "classification": softmax,
    "binary": softmax_of_one,
    "multilabel": sigmoids,
    "regression": squeezed,
    "embedding": unchanged,
}
"""What a task head's `activated` is in a graph, by its task."""


def _constant(name: str, value: float | list[int]) -> NodeProto:
    array = torch.tensor(value, dtype=torch.int64 if isinstance(value, list) else torch.float32).numpy()
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array, name))


def _output(
    net: nn.Module, task_head: TaskHead, examples: Mapping[str, NDArray[Any]], name: str
) -> onnx.ValueInfoProto:
    with torch.inference_mode():
        found = task_head.activated(
            net(**{model_input: torch.from_numpy(array) for model_input, array in examples.items()})
        )
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *found.shape[1:]])


def _narrowed(config: OptimumConfig, axes: Axes) -> OptimumConfig:
    """Returns an export config of optimum with our inputs and axes instead of all that the model could take.

    Raises:
        ExportError: the model does not take one of them.
    """
    unknown = [name for name in axes if name not in config.inputs]
    if unknown:
        raise ExportError(
            f"optimum exports such a model with {', '.join(config.inputs)}; the processor also gives "
            f"{', '.join(unknown)}. Leave it out of processor.model_inputs."
        )
    inputs = {name: dict(axes[name]) for name in config.inputs if name in axes}
    config.__class__ = type("Narrowed", (type(config),), {"inputs": property(lambda _: inputs)})
    return config


def _optimum() -> ModuleType:
    try:
        import_module("optimum.exporters.onnx.model_configs")  # makes the types of models known
        return import_module("optimum.exporters")
    except ImportError as error:
        raise ExportError(
            "Hugging Face models are exported by optimum-onnx, which is not installed. In a checkout of maas: "
            "pip install '.[huggingface]'"
        ) from error
