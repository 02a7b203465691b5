"""Keras nets answer in the line as Keras does. Importing Keras costs seconds, so its tests are few."""

import numpy as np
import pytest

from maas.data.splits import Split, Splits
from maas.errors import ConfigError
from maas.importing.keras_net import KerasNet, keras_on_torch
from maas.importing.samples import convolutions
from maas.runtime.processors.array import ArrayProcessor
from maas.runtime.processors.tabular import TabularProcessor

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning",  # Keras 3.15 with numpy 2, where a test calls it by itself
)


@pytest.fixture(scope="module")
def keras():
    return keras_on_torch()


@pytest.fixture(scope="module")
def dense(keras):
    """`dense(inputs, outputs, **settings of the last layer)` returns a function that makes a net of two layers."""

    def make(inputs: int, outputs: int, **settings):
        layers = keras.layers
        return lambda: keras.Sequential(
            [layers.Input((inputs,)), layers.Dense(8, "tanh"), layers.Dense(outputs, **settings)]
        )

    return make


def test_net_is_trained_alike_when_the_seed_is_the_same(dense, iris, four, model_inputs_of):
    model_inputs = model_inputs_of(four, iris.test.inputs)
    one, same, other = (
        KerasNet(dense(4, 3), "logits", epochs=2, seed=seed).fit(iris, four).outputs(model_inputs) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-3


def test_net_learns_its_own_labels_when_their_order_is_not_the_datas(dense, iris, four, model_inputs_of):
    names = ["virginica", "setosa", "versicolor"]
    model = KerasNet(dense(4, 3, activation="softmax"), labels=names, epochs=150).fit(iris, four)
    model_inputs = model_inputs_of(four, iris.test.inputs)
    assert (model.outputs(model_inputs).argmax(axis=1) == iris.test.targets).mean() > 0.85
    np.testing.assert_allclose(
        model.outputs(model_inputs), model.net.predict_on_batch(model_inputs["features"])[:, [1, 2, 0]]
    )


@pytest.mark.parametrize(("gives", "settings"), [("logit", {}), ("probability", {"activation": "sigmoid"})])
def test_one_number_becomes_two_labels_when_a_net_says_yes_or_no(
    dense, cancer, model_inputs_of, written, tmp_path, gives, settings
):
    model = KerasNet(dense(30, 1, **settings), gives, epochs=2).fit(cancer.splits, cancer.processor)
    model_inputs = model_inputs_of(cancer.processor, cancer.splits.test.inputs)
    found = written(model, tmp_path, model_inputs).run(None, model_inputs)[0]
    assert found.shape == (len(cancer.splits.test), 2)
    np.testing.assert_allclose(found, model.outputs(model_inputs), atol=1e-5)


def test_values_are_learnt_when_targets_are_numbers(dense, diabetes, model_inputs_of, written, tmp_path):
    processor = ArrayProcessor([10])
    model = KerasNet(dense(10, 1), "value", epochs=3).fit(diabetes, processor)
    model_inputs = model_inputs_of(processor, diabetes.test.inputs)
    session = written(model, tmp_path, model_inputs, output="value")
    assert [(one.name, one.shape) for one in session.get_outputs()] == [("value", ["batch"])]
    np.testing.assert_allclose(session.run(None, model_inputs)[0], model.outputs(model_inputs), atol=1e-4)


def test_attention_and_normalisation_are_exported_when_a_net_has_them(
    keras, iris, four, model_inputs_of, written, tmp_path
):
    layers = keras.layers
    given = layers.Input((4,))
    hidden = layers.LayerNormalization()(layers.Reshape((2, 2))(given))
    hidden = layers.MultiHeadAttention(2, 4)(hidden, hidden)
    net = keras.Model(given, layers.Dense(3)(layers.Flatten()(hidden)))
    model = KerasNet(net, "logits").fit(iris, four)
    model_inputs = model_inputs_of(four, iris.test.inputs)
    found = written(model, tmp_path, model_inputs).run(None, model_inputs)[0]
    np.testing.assert_allclose(found, model.outputs(model_inputs), atol=1e-5)


def test_model_inputs_are_given_by_name_when_a_net_has_several_inputs(keras, iris, model_inputs_of, written, tmp_path):
    rows = [[*row[:3], f"{row[3] > 1}"] for row in iris.train.inputs]
    processor = TabularProcessor(numbers=["a", "b", "c"], categories=["kind"]).fit(rows)
    splits = Splits(Split(rows, iris.train.targets), iris.validation, iris.test, iris.labels, iris.record)
    layers = keras.layers
    categories, numbers = layers.Input((1,), name="categories", dtype="int64"), layers.Input((3,), name="numbers")
    looked_up = layers.Flatten()(layers.Embedding(5, 2)(categories))
    net = keras.Model([categories, numbers], layers.Dense(3)(layers.Concatenate()([looked_up, numbers])))
    model = KerasNet(net, "logits").fit(splits, processor)
    model_inputs = model_inputs_of(processor, rows)
    assert list(model_inputs) == ["numbers", "categories"]
    session = written(model, tmp_path, model_inputs)
    np.testing.assert_allclose(session.run(None, model_inputs)[0], model.outputs(model_inputs), atol=1e-5)


def test_file_is_opened_when_its_path_is_given(keras, dense, iris, four, model_inputs_of, tmp_path):
    net = dense(4, 3)()
    net.save(tmp_path / "theirs.keras")
    model_inputs = model_inputs_of(four, iris.test.inputs)
    found = KerasNet(str(tmp_path / "theirs.keras"), "logits").fit(iris, four).outputs(model_inputs)
    np.testing.assert_allclose(found, KerasNet(net, "logits").fit(iris, four).outputs(model_inputs), atol=1e-6)


def test_code_of_a_file_is_not_run_when_it_holds_a_lambda(keras, iris, four, tmp_path):
    layers = keras.layers
    net = keras.Sequential([layers.Input((4,)), layers.Lambda(lambda x: x * 2), layers.Dense(3)])
    net.save(tmp_path / "lambda.keras")
    with pytest.raises(ConfigError, match=r"lambda\.keras cannot be opened by Keras: .*safe") as caught:
        KerasNet(str(tmp_path / "lambda.keras")).fit(iris, four)
    assert len(str(caught.value).splitlines()) == 1


def test_file_is_refused_when_it_is_of_another_format(iris, four, tmp_path):
    (tmp_path / "old.h5").write_bytes(b"")
    with pytest.raises(ConfigError) as caught:
        KerasNet(str(tmp_path / "old.h5")).fit(iris, four)
    assert str(caught.value) == (
        f"{tmp_path}/old.h5 is no .keras file. Save the net by model.save('NAME.keras') of Keras 3."
    )


def test_refusal_gives_the_shapes_when_a_net_takes_other_rows(dense, iris, four):
    with pytest.raises(ConfigError, match=r"^The Keras net does not take features \[1, 4\]: ") as caught:
        KerasNet(dense(7, 3), "logits").fit(iris, four)
    assert len(str(caught.value).splitlines()) == 1


def test_refusal_names_the_type_when_a_part_makes_no_net(iris, four):
    with pytest.raises(ConfigError) as caught:
        KerasNet(dict).fit(iris, four)
    assert str(caught.value) == (
        "model.model gives a dict; it must be the path of a .keras file, or a part with _partial_: true that returns a "
        "keras.Model."
    )


def test_refusal_names_the_backend_when_it_is_not_torch(keras, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ConfigError) as caught:
        keras_on_torch()
    assert (
        str(caught.value) == "Keras runs on jax here, and torch is needed. Set KERAS_BACKEND=torch in the environment."
    )


def test_refusal_says_so_when_there_is_nothing_to_learn(dense, iris, four):
    bare = Split(iris.train.inputs, None)
    splits = Splits(bare, bare, bare, (), iris.record)
    with pytest.raises(ConfigError) as caught:
        KerasNet(dense(4, 3), "embedding", epochs=5).fit(splits, four)
    assert str(caught.value) == "model.epochs is 5, and rows have no targets to learn. Set model.epochs=0."
    vectors = KerasNet(dense(4, 3), "embedding").fit(splits, four).outputs({"features": np.zeros((2, 4), np.float32)})
    assert vectors.shape == (2, 3)


def test_refusal_names_fit_when_a_net_has_not_met_the_data(dense):
    with pytest.raises(ConfigError) as caught:
        KerasNet(dense(4, 3)).outputs({"features": np.zeros((1, 4), np.float32)})
    assert str(caught.value) == "The Keras net has not met the data yet. Call fit first."


def test_sample_gives_logits_of_pictures_when_it_is_made(keras):
    net = convolutions(side=6, labels=4, filters=2)
    assert net.predict_on_batch(np.zeros((3, 36), np.float32)).shape == (3, 4)


@pytest.mark.filterwarnings("ignore:.*quantize:UserWarning")  # of the input layer
@pytest.mark.parametrize("nested", [False, True])
def test_refusal_names_the_layer_when_its_weights_have_four_bits(keras, iris, four, nested):
    inner = keras.layers.Dense(3, name="last")
    net = keras.Sequential([keras.layers.Input((4,)), keras.Sequential([inner]) if nested else inner])
    net.quantize("int4")
    with pytest.raises(ConfigError) as caught:
        KerasNet(net, "logits", epochs=1).fit(iris, four)
    assert str(caught.value) == (
        "The layer last of the Keras net is quantised to int4, which cannot be exported. Take the net as it was before "
        "model.quantize, and let compress make it smaller."
    )


@pytest.mark.filterwarnings("ignore:.*quantize:UserWarning")
def test_answers_are_keras_own_when_weights_have_eight_bits(keras, iris, four, model_inputs_of, written, tmp_path):
    net = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(3)])
    net.quantize("int8")
    model = KerasNet(net, "logits").fit(iris, four)
    model_inputs = model_inputs_of(four, iris.test.inputs)
    np.testing.assert_allclose(
        written(model, tmp_path, model_inputs).run(None, model_inputs)[0], model.outputs(model_inputs), atol=1e-6
    )


def of_two(keras, *names: str):
    """A net of three numbers and one category, under some names."""
    layers = keras.layers
    numbers, kind = layers.Input((3,), name=names[0]), layers.Input((1,), name=names[1], dtype="int64")
    looked_up = layers.Flatten()(layers.Embedding(5, 2)(kind))
    return keras.Model([kind, numbers], layers.Dense(3)(layers.Concatenate()([looked_up, numbers])))


@pytest.fixture
def kinds(iris):
    """Rows of three numbers and a category, and their processor."""
    rows = [[*row[:3], f"{row[3] > 1}"] for row in iris.train.inputs]
    processor = TabularProcessor(numbers=["a", "b", "c"], categories=["kind"]).fit(rows)
    return Splits(Split(rows, iris.train.targets), iris.validation, iris.test, iris.labels, iris.record), processor


@pytest.mark.parametrize("chosen", [None, {"numbers": "amounts", "categories": "of_what"}])
def test_inputs_may_have_any_names_when_their_shapes_differ_or_the_recipe_says_which(
    keras, kinds, chosen, model_inputs_of, written, tmp_path
):
    splits, processor = kinds
    model = KerasNet(of_two(keras, "amounts", "of_what"), "logits", epochs=1, inputs=chosen).fit(splits, processor)
    model_inputs = model_inputs_of(processor, splits.train.inputs)
    session = written(model, tmp_path, model_inputs)
    np.testing.assert_allclose(session.run(None, model_inputs)[0], model.outputs(model_inputs), atol=1e-5)
    expected = model.net.predict_on_batch({"amounts": model_inputs["numbers"], "of_what": model_inputs["categories"]})
    np.testing.assert_allclose(
        model.outputs(model_inputs), np.exp(expected) / np.exp(expected).sum(1)[:, None], atol=1e-6
    )
    model.save(tmp_path)
    again = KerasNet.load({"inputs": chosen}, tmp_path)
    np.testing.assert_allclose(again.outputs(model_inputs), model.outputs(model_inputs), atol=1e-6)


@pytest.mark.parametrize("chosen", [None, {"numbers": "a", "categories": "c"}])
def test_refusal_shows_both_sides_when_neither_names_nor_shapes_tell(keras, iris, chosen):
    rows = [[row[0], f"{row[3] > 1}"] for row in iris.train.inputs]
    processor = TabularProcessor(numbers=["n"], categories=["kind"]).fit(rows)
    splits = Splits(Split(rows, iris.train.targets), iris.validation, iris.test, iris.labels, iris.record)
    layers = keras.layers
    one, other = layers.Input((1,), name="a"), layers.Input((1,), name="b")
    net = keras.Model([one, other], layers.Dense(3)(layers.Concatenate()([one, other])))
    with pytest.raises(ConfigError) as caught:
        KerasNet(net, "logits", inputs=chosen).fit(splits, processor)
    assert str(caught.value) == (
        "The Keras net takes a [1], b [1]; the processor gives numbers [1], categories [1]. Set "
        "model.inputs={model_input: input} for each of its inputs."
    )
