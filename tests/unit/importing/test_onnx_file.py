"""Plain ONNX files answer in the line as ONNX Runtime answers with the file itself."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from scipy.special import softmax

from maas.errors import ConfigError, ExportError
from maas.importing.onnx_file import OnnxFile
from maas.importing.pixels import PixelScaling
from maas.runtime.processors.tabular import TabularProcessor

WEIGHTS = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


@pytest.fixture
def model_inputs(four, iris, model_inputs_of):
    return model_inputs_of(four, iris.test.inputs)


@pytest.fixture
def saved(tmp_path):
    def save(model: onnx.ModelProto, name: str = "theirs.onnx", **options) -> str:
        onnx.save(model, tmp_path / name, **options)
        return str(tmp_path / name)

    return save


def test_answers_are_the_files_when_it_gives_logits(linear, saved, iris, four, model_inputs, written, tmp_path):
    model = OnnxFile(saved(linear(WEIGHTS)), gives="logits").fit(iris, four)
    expected = softmax(model_inputs["features"] @ WEIGHTS, axis=1)
    np.testing.assert_allclose(model.outputs(model_inputs), expected, atol=1e-6)
    session = written(model, tmp_path, model_inputs)
    assert [(one.name, one.shape) for one in session.get_inputs()] == [("features", ["batch", 4])]
    assert [(one.name, one.shape) for one in session.get_outputs()] == [("probabilities", ["batch", 3])]
    np.testing.assert_allclose(session.run(None, model_inputs)[0], expected, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 4])
def test_any_batch_is_answered_when_the_file_takes_one_size(
    linear, saved, iris, four, model_inputs, written, tmp_path, batch
):
    source = linear(WEIGHTS, batch=batch)
    shape = numpy_helper.from_array(np.array([batch, 3], dtype=np.int64), "shape")
    source.graph.initializer.append(shape)
    source.graph.node[0].output[0] = "product"
    source.graph.node.append(helper.make_node("Reshape", ["product", "shape"], ["scores"]))
    model = OnnxFile(saved(source), gives="logits").fit(iris, four)
    expected = softmax(model_inputs["features"] @ WEIGHTS, axis=1)
    np.testing.assert_allclose(model.outputs(model_inputs), expected, atol=1e-6)
    session = written(model, tmp_path, model_inputs)
    for rows in (1, 3, len(expected)):
        found = session.run(None, {"features": model_inputs["features"][:rows]})[0]
        np.testing.assert_allclose(found, expected[:rows], atol=1e-6)


def test_refusal_names_the_batch_when_rows_of_one_size_see_each_other(
    linear, saved, iris, four, model_inputs, written, tmp_path
):
    source = linear(WEIGHTS, batch=2)
    source.graph.node[0].output[0] = "product"
    source.graph.node.append(helper.make_node("CumSum", ["product", "axis"], ["scores"]))
    source.graph.initializer.append(numpy_helper.from_array(np.int64(0), "axis"))
    model = OnnxFile(saved(source), gives="logits").fit(iris, four)
    with pytest.raises(ExportError) as caught:
        written(model, tmp_path, model_inputs)
    assert str(caught.value) == (
        "theirs.onnx cannot be imported. 4 rows are predicted otherwise than by the file itself. It was made for "
        "batches of 2: export it again with a free axis."
    )
    assert not (tmp_path / "written.onnx").exists()


def test_weights_are_joined_when_they_lie_beside_the_file(linear, saved, iris, four, model_inputs, tmp_path):
    path = saved(
        linear(WEIGHTS), save_as_external_data=True, all_tensors_to_one_file=True, location="w.bin", size_threshold=0
    )
    model = OnnxFile(path, gives="logits").fit(iris, four)
    folder = tmp_path / "source"
    folder.mkdir()
    model.save(folder)
    assert {one.name for one in folder.iterdir()} == {"model.onnx", "source.json"}
    (tmp_path / "w.bin").unlink()
    again = OnnxFile.load({"path": path}, folder)
    np.testing.assert_array_equal(again.outputs(model_inputs), model.outputs(model_inputs))


def test_copy_is_the_file_byte_for_byte_when_it_is_saved(linear, saved, iris, four, tmp_path):
    path = saved(linear(WEIGHTS))
    folder = tmp_path / "source"
    folder.mkdir()
    OnnxFile(path, gives="logits").fit(iris, four).save(folder)
    assert (folder / "model.onnx").read_bytes() == (tmp_path / "theirs.onnx").read_bytes()


@pytest.mark.parametrize(("kind", "tolerance"), [(TensorProto.DOUBLE, 1e-6), (TensorProto.FLOAT16, 1e-2)])
def test_model_inputs_are_cast_when_the_file_takes_another_type(
    linear, saved, iris, four, model_inputs, written, tmp_path, kind, tolerance
):
    model = OnnxFile(saved(linear(WEIGHTS, kind=kind)), gives="logits").fit(iris, four)
    session = written(model, tmp_path, model_inputs)
    assert session.get_outputs()[0].type == "tensor(float)"
    expected = softmax(model_inputs["features"] @ WEIGHTS, axis=1)
    np.testing.assert_allclose(session.run(None, model_inputs)[0], expected, atol=tolerance)
    np.testing.assert_allclose(model.outputs(model_inputs), expected, atol=tolerance)


def test_columns_come_in_the_datas_order_when_the_file_has_its_own(
    linear, saved, iris, four, model_inputs, written, tmp_path
):
    names = ["virginica", "setosa", "versicolor"]
    model = OnnxFile(saved(linear(WEIGHTS)), gives="logits", labels=names).fit(iris, four)
    expected = softmax(model_inputs["features"] @ WEIGHTS, axis=1)[:, [1, 2, 0]]
    np.testing.assert_allclose(model.outputs(model_inputs), expected, atol=1e-6)
    np.testing.assert_allclose(written(model, tmp_path, model_inputs).run(None, model_inputs)[0], expected, atol=1e-6)


def test_inputs_are_paired_by_name_when_the_processor_gives_several(saved, iris, model_inputs_of, written, tmp_path):
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "kinds"], ["looked_up"]),
            helper.make_node("Squeeze", ["looked_up", "one"], ["flat"]),
            helper.make_node("MatMul", ["measures", "weights"], ["product"]),
            helper.make_node("Add", ["flat", "product"], ["scores"]),
        ],
        "two inputs",
        [
            helper.make_tensor_value_info("kinds", TensorProto.INT32, ["N", 1]),
            helper.make_tensor_value_info("measures", TensorProto.FLOAT, ["N", 3]),
        ],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 3])],
        [
            numpy_helper.from_array(np.eye(5, 3, dtype=np.float32), "table"),
            numpy_helper.from_array(WEIGHTS[:3], "weights"),
            numpy_helper.from_array(np.array([1]), "one"),
        ],
    )
    path = saved(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    rows = [[row[0], row[1], row[2], f"{row[3] > 1}"] for row in iris.train.inputs]
    processor = TabularProcessor(numbers=["a", "b", "c"], categories=["d"]).fit(rows)
    splits = type(iris)(
        type(iris.train)(rows, iris.train.targets), iris.validation, iris.test, iris.labels, iris.record
    )
    model_inputs = model_inputs_of(processor, rows)
    model = OnnxFile(path, "logits", inputs={"numbers": "measures", "categories": "kinds"}).fit(splits, processor)
    expected = softmax(model_inputs["numbers"] @ WEIGHTS[:3] + np.eye(5, 3)[model_inputs["categories"][:, 0]], axis=1)
    np.testing.assert_allclose(model.outputs(model_inputs), expected, atol=1e-6)
    session = written(model, tmp_path, model_inputs)
    assert [one.name for one in session.get_inputs()] == ["numbers", "categories"]
    np.testing.assert_allclose(session.run(None, model_inputs)[0], expected, atol=1e-6)
    with pytest.raises(ConfigError) as caught:
        OnnxFile(path, "logits").fit(splits, processor)
    assert str(caught.value) == (
        "theirs.onnx takes kinds, measures; the processor gives numbers, categories. "
        "Set model.inputs={model_input: input} for each of its inputs."
    )


def test_pictures_are_scaled_and_turned_when_the_file_takes_channels_first(saved, written, tmp_path):
    kernel = np.random.default_rng(1).normal(size=(2, 3, 4, 4)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "kernel"], ["maps"]), helper.make_node("Flatten", ["maps"], ["scores"])],
        "picture",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 4, 4])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 2])],
        [numpy_helper.from_array(kernel, "kernel")],
    )
    path = saved(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    model_inputs = {"pixels": np.random.default_rng(2).integers(0, 256, (9, 4, 4, 3), dtype=np.uint8)}
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    pixels = PixelScaling(mean=mean, deviation=deviation)
    model = OnnxFile(path, "embedding", pixels=pixels)
    model.record = met_with(model, pixels)
    normal = ((model_inputs["pixels"] / 255 - mean) / deviation).transpose(0, 3, 1, 2)
    expected = np.einsum("nchw,kchw->nk", normal, kernel)
    np.testing.assert_allclose(model.outputs(model_inputs), expected, atol=1e-4)
    session = written(model, tmp_path, model_inputs, output="embedding")
    assert [(one.name, one.type) for one in session.get_inputs()] == [("pixels", "tensor(uint8)")]
    np.testing.assert_allclose(session.run(None, model_inputs)[0], expected, atol=1e-4)


def met_with(model: OnnxFile, pixels: PixelScaling):
    from maas.importing.meaning import Meaning
    from maas.importing.onnx_file import FileRecord

    return FileRecord(Meaning("embedding"), {"pixels": "image"}, "scores", pixels)


def test_values_are_a_number_a_row_when_the_file_predicts_one(
    linear, saved, diabetes, model_inputs_of, written, tmp_path
):
    from maas.runtime.processors.array import ArrayProcessor

    weights = np.arange(10, dtype=np.float32)[:, None]
    processor = ArrayProcessor([10])
    model = OnnxFile(saved(linear(weights)), gives="value").fit(diabetes, processor)
    model_inputs = model_inputs_of(processor, diabetes.test.inputs)
    session = written(model, tmp_path, model_inputs, output="value")
    assert [(one.name, one.shape) for one in session.get_outputs()] == [("value", ["batch"])]
    np.testing.assert_allclose(
        session.run(None, model_inputs)[0], (model_inputs["features"] @ weights)[:, 0], rtol=1e-5
    )


def test_output_must_be_named_when_several_hold_numbers(linear, saved, iris, four):
    source = linear(WEIGHTS)
    source.graph.node.append(helper.make_node("Neg", ["scores"], ["opposite"]))
    source.graph.node.append(helper.make_node("ArgMax", ["scores"], ["label"]))
    source.graph.output.append(helper.make_tensor_value_info("opposite", TensorProto.FLOAT, ["N", 3]))
    source.graph.output.append(helper.make_tensor_value_info("label", TensorProto.INT64, ["N", 1]))
    path = saved(source)
    with pytest.raises(ConfigError) as caught:
        OnnxFile(path, "logits").fit(iris, four)
    assert str(caught.value) == (
        "theirs.onnx gives scores, opposite, label; model.output is None. Set it to one of them."
    )
    with pytest.raises(ConfigError, match=r"model\.output is score\."):
        OnnxFile(path, "logits", output="score").fit(iris, four)
    assert OnnxFile(path, "logits", output="opposite").fit(iris, four).record.result == "opposite"


def test_probabilities_are_read_when_a_zipmap_makes_dictionaries(iris, four, model_inputs, saved, written, tmp_path):
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    table = np.array(iris.train.inputs, dtype=np.float32)
    estimator = LogisticRegression(max_iter=500).fit(table, [iris.labels[one] for one in iris.train.targets])
    path = saved(to_onnx(estimator, table[:1], target_opset=17))
    assert ort.InferenceSession(path).get_outputs()[1].type == "seq(map(string,tensor(float)))"
    model = OnnxFile(path, labels=iris.labels).fit(iris, four)
    np.testing.assert_allclose(
        model.outputs(model_inputs), estimator.predict_proba(model_inputs["features"]), atol=1e-6
    )
    session = written(model, tmp_path, model_inputs)
    np.testing.assert_allclose(session.run(None, model_inputs)[0], model.outputs(model_inputs), atol=1e-6)


def test_refusal_gives_both_shapes_when_the_file_takes_other_rows(linear, saved, iris, four):
    path = saved(linear(np.ones((7, 3))))
    with pytest.raises(
        ConfigError, match=r"^theirs\.onnx does not take what the processor gives: .*Got: 4 Expected: 7"
    ) as caught:
        OnnxFile(path, "logits").fit(iris, four)
    assert len(str(caught.value).splitlines()) == 1


def test_refusal_names_the_format_when_a_file_is_no_onnx(iris, four, tmp_path):
    (tmp_path / "notes.onnx").write_text("to do: export the model")
    with pytest.raises(ConfigError, match=r"notes\.onnx cannot be read as ONNX: "):
        OnnxFile(str(tmp_path / "notes.onnx")).fit(iris, four)


def test_refusal_names_fit_when_a_file_has_not_met_the_data(linear, saved, model_inputs):
    with pytest.raises(ConfigError) as caught:
        OnnxFile(saved(linear(WEIGHTS))).outputs(model_inputs)
    assert str(caught.value) == "theirs.onnx has not met the data yet. Call fit first."
