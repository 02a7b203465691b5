"""One MLflow database for all tests of this folder, as laying it out takes seconds, and bundles as MLflow models."""

import onnx
import pytest
from onnx import TensorProto, helper

from maas.exporting.bundling import build_bundle
from maas.records.manifest import ServingSettings
from maas.registry.connection import connected
from maas.registry.mlflow_registry import MlflowRegistry
from maas.runtime.bundle import Bundle
from maas.runtime.postprocessors import load_postprocessor
from maas.runtime.processors.array import ArrayProcessor
from maas.runtime.processors.tabular import TabularProcessor
from maas.runtime.processors.text import TextProcessor


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """Its folder."""
    folder = tmp_path_factory.mktemp("registry")
    connected(f"sqlite:///{folder / 'mlflow.db'}")
    return folder


@pytest.fixture
def store(place) -> MlflowRegistry:
    return MlflowRegistry(f"sqlite:///{place / 'mlflow.db'}", artifacts=str(place / "mlartifacts"))


@pytest.fixture(scope="session")
def draw(lineage, tmp_path_factory):
    def make(name: str, **parts: object) -> Bundle:
        folder = tmp_path_factory.mktemp("models") / name
        folder.mkdir()
        rest = {"name": name, "precision": "fp32", "serving": ServingSettings(), "lineage": lineage}
        return build_bundle(folder, **parts, **rest)

    return make


@pytest.fixture(scope="session")
def arrays(bundles, draw, tmp_path_factory):
    """A bundle of rows of four numbers with three labels."""
    graph = bundles.array_bundle(tmp_path_factory.mktemp("graphs") / "array", width=4, labels=3, seed=5) / "model.onnx"
    return draw(
        "arrays",
        model=graph,
        task="tabular-classification",
        processor=ArrayProcessor([4], low=0, high=16),
        postprocessor=load_postprocessor({"kind": "classification", "labels": ["a", "b", "c"]}),
        golden_rows=[[1, 2, 3, 4], [0, 16, 0, 16]],
    )


@pytest.fixture(scope="session")
def sentences(bundles, draw, tmp_path_factory):
    """A bundle of texts with two labels."""
    graph = bundles.text_bundle(tmp_path_factory.mktemp("graphs") / "text") / "model.onnx"
    return draw(
        "texts",
        model=graph,
        task="text-classification",
        processor=TextProcessor(vocabulary_size=300, max_tokens=64, pad_multiple=8).fit(bundles.TEXTS * 3),
        postprocessor=load_postprocessor({"kind": "classification", "labels": ["negative", "positive"]}),
        golden_rows=bundles.TEXTS,
    )


@pytest.fixture(scope="session")
def columns(draw, tmp_path_factory):
    """value = hour + distance + 100 · (place of the carrier: "7" 1, "UA" 2), with 10 for a number that is missing."""
    nodes = [
        helper.make_node("IsNaN", ["numbers"], ["missing"]),
        helper.make_node("Where", ["missing", "ten", "numbers"], ["filled"]),
        helper.make_node("ReduceSum", ["filled", "axis"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["categories"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["float", "axis"], ["position"], keepdims=0),
        helper.make_node("Mul", ["position", "hundred"], ["offset"]),
        helper.make_node("Add", ["sum", "offset"], ["value"]),
    ]
    inputs = [
        helper.make_tensor_value_info("numbers", TensorProto.FLOAT, ["batch", 2]),
        helper.make_tensor_value_info("categories", TensorProto.INT64, ["batch", 1]),
    ]
    output = helper.make_tensor_value_info("value", TensorProto.FLOAT, ["batch"])
    constants = [
        helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
        helper.make_tensor("hundred", TensorProto.FLOAT, [], [100.0]),
        helper.make_tensor("ten", TensorProto.FLOAT, [], [10.0]),
    ]
    graph = helper.make_graph(nodes, "columns", inputs, [output], constants)
    path = tmp_path_factory.mktemp("graphs") / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    rows = [{"hour": 1.5, "distance": 2, "carrier": 7}, {"hour": 3, "distance": 4.5, "carrier": "UA"}]
    return draw(
        "columns",
        model=path,
        task="tabular-regression",
        processor=TabularProcessor(["hour", "distance"], ["carrier"]).fit([*rows, rows[0]]),
        postprocessor=load_postprocessor({"kind": "regression"}),
        golden_rows=rows,
    )
