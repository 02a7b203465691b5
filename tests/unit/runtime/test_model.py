"""Raw rows in, answers out, in the order in which they came."""

from collections import Counter

import numpy as np
import pytest

from maas.errors import BundleError, InputError
from maas.runtime.bundle import Bundle
from maas.runtime.model import Predictor, batches_of, not_finite, outputs_in_batches


@pytest.fixture(scope="module")
def predictor(bundles, tmp_path_factory) -> Predictor:
    return Bundle.open(bundles.text_bundle(tmp_path_factory.mktemp("text") / "bundle", batch_size=3)).predictor


def mixed(count: int) -> list[str]:
    """Returns texts of many lengths, shuffled."""
    texts = [f"{'long word ' * (index % 7)}好{index}" for index in range(count)]
    return [texts[index] for index in np.random.default_rng(0).permutation(count)]


def test_answers_are_in_the_order_of_the_rows_when_their_lengths_are_mixed(predictor):
    rows = mixed(40)
    alone = np.concatenate([predictor.outputs([row])["probabilities"] for row in rows])
    np.testing.assert_allclose(predictor.outputs(rows)["probabilities"], alone, atol=1e-6)
    assert [answer["label"] for answer in predictor.predict(rows)] == [
        predictor.predict([row])[0]["label"] for row in rows
    ]


def test_batches_are_of_one_size_and_within_the_limit_when_lengths_are_mixed(predictor):
    features = predictor.preprocess(mixed(40))
    batches = list(predictor.batches(features))
    assert sorted(index for batch in batches for index in batch) == list(range(40))
    assert max(map(len, batches)) == 3
    for batch in batches:
        assert batch == sorted(batch)
        assert len({predictor.processor.bucket(features[index]) for index in batch}) == 1


def test_short_batches_are_at_most_one_a_size_when_rows_are_batched(predictor):
    features = predictor.preprocess(mixed(40))
    short = Counter(
        predictor.processor.bucket(features[batch[0]]) for batch in predictor.batches(features) if len(batch) < 3
    )
    assert set(short.values()) == {1}


def test_no_batch_is_above_the_limit_when_the_graph_is_run(predictor):
    sizes = []

    def run(model_inputs):
        sizes.append(len(model_inputs["input_ids"]))
        return {"rows": model_inputs["input_ids"].sum(axis=1)}

    rows = mixed(60)
    found = outputs_in_batches(predictor.processor, rows, 4, run)["rows"]
    assert max(sizes) == 4
    assert found.tolist() == [int(row.sum()) for row in predictor.processor.arrays(rows)]
    assert list(batches_of(predictor.processor, [], 4)) == []


@pytest.mark.parametrize(
    ("given", "kind"),
    [("one text", "str"), (b"bytes", "bytes"), ({"text": "a"}, "dict"), (5, "int"), (None, "NoneType")],
)
def test_list_is_asked_for_when_one_input_is_given(predictor, given, kind):
    for call in (predictor.predict, predictor.outputs, predictor.preprocess):
        with pytest.raises(InputError) as caught:
            call(given)
        assert str(caught.value) == f"predict takes a list of inputs; it was given one {kind}. Write [input]."


@pytest.mark.parametrize("rows", [[], (), np.array([])])
def test_at_least_one_row_is_asked_for_when_none_is_given(predictor, rows):
    with pytest.raises(InputError, match=r"^No rows were given; the model needs at least one\.$"):
        predictor.predict(rows)


def test_array_of_rows_is_answered_when_it_is_no_list(bundles, tmp_path):
    bundle = Bundle.open(bundles.array_bundle(tmp_path / "bundle", width=4))
    rows = np.arange(12).reshape(3, 4)
    assert bundle.predict(rows) == bundle.predict(rows.tolist())


def test_signature_is_raw_when_it_is_asked_for(predictor):
    assert [spec.name for spec in predictor.signature.inputs] == ["text"]
    assert [spec.name for spec in predictor.signature.outputs] == ["label", "score", "probabilities"]


def test_file_is_named_when_onnxruntime_cannot_load_it(predictor, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(BundleError, match=r"^ONNX Runtime cannot load .*model\.onnx: "):
        Predictor(tmp_path / "model.onnx", predictor.processor, predictor.postprocessor)


def test_session_keeps_its_settings_when_they_are_given(bundles, tmp_path):
    bundle = Bundle.open(bundles.array_bundle(tmp_path / "bundle", batch_size=5))
    own = bundle.make_predictor(batch_size=2, threads=2)
    assert (own.batch_size, own.threads) == (2, 2)
    options = own.session.get_session_options()
    assert options.intra_op_num_threads == 2
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert (bundle.predictor.batch_size, bundle.predictor.threads) == (5, 1)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_output_that_is_not_finite_is_named_with_its_row(kind, value):
    scores = np.linspace(-1, 1, 5 * 40).reshape(5, 40).astype(kind)
    outputs = {"names": np.array(["a", "b"]), "none": np.empty((0, 3), kind), "scores": scores}
    assert not_finite(outputs) is None
    scores[3, 17] = value
    assert str(not_finite(outputs)).startswith("The model's scores for row 3 is not a finite number")
