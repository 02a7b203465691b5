"""Models that stand in for imported ones, so that the shipped recipes run without a network.

They take the training split alone, as their makers would have.
"""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from maas.bounds import Count, NonNegativeCount, Positive
from maas.data.splits import Splits
from maas.files import cache_folder, write_atomically
from maas.importing.base import needed
from maas.importing.keras_graph import KerasModel


def random_features(
    data: Splits, hidden: Count = 512, scale: Positive = 1.0, shrinkage: Positive = 0.3, seed: NonNegativeCount = 0
) -> Path:
    """Writes a plain ONNX file, as a stranger might send it: opset 11, a batch of exactly one row, two outputs.

    A layer of random weights with ReLU, and linear discriminant analysis on what it gives, solved in closed form: the
    scores of label k are hᵀ Σ⁻¹ μₖ - μₖᵀ Σ⁻¹ μₖ / 2, with the means μₖ and the shrunk covariance Σ of its values h.

    Args:
        data: rows of D numbers; only the training split is read.
        hidden: width of the layer.
        scale: rows are multiplied by it first.
        shrinkage: fraction of the mean variance that is added to each variance.
        seed: random seed of the layer's weights.

    Returns:
        The file, in the cache. Input `pixels` float32 (1, D); outputs `scores` float32 (1, K) and `digit` int64 (1,).

    Source: Huang, Zhu, Siew, Extreme learning machine (2006); Friedman, Regularized discriminant analysis (1989).
    """
    rows = np.array(data.train.inputs, dtype=np.float64) * scale
    generator = np.random.default_rng(seed)
    first = generator.normal(size=(rows.shape[1], hidden)) / np.sqrt(rows.shape[1])
    offsets = generator.normal(size=hidden) / 2
    second, biases = _discriminant(np.maximum(rows @ first + offsets, 0), np.asarray(data.train.targets), shrinkage)
    weights = {"first": first * scale, "offsets": offsets, "second": second, "biases": biases}
    path = cache_folder("samples") / f"random_features_{data.record.fingerprint[:12]}_{hidden}_{seed}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, _strangers_file(weights).SerializeToString(deterministic=True))
    return path


def convolutions(side: Count = 8, labels: Count = 10, scale: Positive = 1.0, filters: Count = 16) -> KerasModel:
    """Returns an untrained Keras net over square grey pictures, which come as rows of numbers; it gives logits.

    Args:
        side: height and width.
        labels: K.
        scale: rows are multiplied by it first.
        filters: number of filters of the first of two convolutions; the second has twice as many.
    """
    keras = needed("keras")
    layers = keras.layers
    net: KerasModel = keras.Sequential(
        [
            layers.Input((side * side,), name="features"),
            layers.Rescaling(scale),
            layers.Reshape((side, side, 1)),
            layers.Conv2D(filters, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.Conv2D(2 * filters, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(8 * filters, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(labels),
        ]
    )
    return net


def _discriminant(
    values: NDArray[np.float64], targets: NDArray[np.int64], shrinkage: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns weights (H, K) and biases (K,) of the scores."""
    means = np.stack([values[targets == label].mean(axis=0) for label in range(int(targets.max()) + 1)])  # (K, H)
    residuals = values - means[targets]
    covariance = residuals.T @ residuals / len(values)
    covariance += shrinkage * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    weights = np.linalg.solve(covariance, means.T)
    biases = -(means * weights.T).sum(axis=1) / 2
    return weights - weights.mean(axis=1, keepdims=True), biases - biases.mean()  # what all labels share cancels out


def _strangers_file(weights: dict[str, NDArray[np.float64]]) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Gemm", ["pixels", "first", "offsets"], ["sums"]),
        helper.make_node("Relu", ["sums"], ["values"]),
        helper.make_node("Gemm", ["values", "second", "biases"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["digit"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "random_features",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, len(weights["first"])])],
        [
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, len(weights["biases"])]),
            helper.make_tensor_value_info("digit", TensorProto.INT64, [1]),
        ],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
