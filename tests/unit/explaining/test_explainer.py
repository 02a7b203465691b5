"""Attributions are the right ones where those are known, and complete where they are not."""

import numpy as np
import pytest

from maas.errors import InputError
from maas.explaining import explain
from maas.explaining.explainer import CHUNK_ROWS
from maas.runtime.bundle import Bundle
from maas.runtime.model import Predictor


@pytest.fixture
def bent(predictor_of, linear_of) -> Predictor:
    return predictor_of(linear_of("array"), score="bent")


ROW = [[1.0, -0.5, 2.0], [0.3, 0.0, -1.5]]


@pytest.mark.parametrize("method", ["shapley", "occlusion"])
def test_attributions_are_weight_times_distance_from_the_baseline_when_the_model_is_linear(
    predictor_of, linear, method
):
    found = explain(predictor_of(linear), linear.row, label="yes", method=method, orders=1)
    np.testing.assert_allclose(found.attributions, 2 * linear.expected, atol=1e-5)
    opposite = explain(predictor_of(linear), linear.row, label="no", method=method, orders=2)
    np.testing.assert_allclose(opposite.attributions, -found.attributions, atol=1e-5)


def test_attributions_are_in_the_unit_of_the_target_when_the_model_gives_a_value(predictor_of, linear):
    found = explain(predictor_of(linear, "regression"), linear.row)
    np.testing.assert_allclose(found.attributions, linear.expected, atol=1e-5)
    assert (found.quantity, found.label) == ("value", None)


@pytest.mark.parametrize("kind", ["classification", "regression", "embedding"])
@pytest.mark.parametrize("orders", [1, 2, 5])
def test_attributions_add_up_to_what_all_parts_add_when_parts_interact(predictor_of, linear, kind, orders):
    predictor = predictor_of(linear, kind, score="bent")
    found = explain(predictor, linear.row, orders=orders)
    assert found.attributions.sum() == pytest.approx(found.value - found.baseline, abs=1e-12)
    assert np.abs(found.attributions).max() > 1e-4


def test_value_is_that_of_the_row_as_it_was_sent_when_it_is_explained(predictor_of, linear):
    predictor = predictor_of(linear, "regression", score="bent")
    assert explain(predictor, linear.row, orders=1).value == pytest.approx(
        float(predictor.outputs([linear.row])["value"][0]), abs=1e-6
    )


def test_cosine_is_one_and_falls_when_a_vector_is_explained(predictor_of, linear):
    found = explain(predictor_of(linear, "embedding", score="bent"), linear.row)
    assert found.quantity == "cosine"
    assert found.value == pytest.approx(1, abs=1e-9)
    assert -1 <= found.baseline < 1


def test_label_is_the_models_own_when_none_is_asked_for(bent):
    answer = bent.predict([ROW])[0]
    found = explain(bent, ROW)
    assert found.label == answer["label"]
    assert 1 / (1 + np.exp(-found.value)) == pytest.approx(answer["score"], abs=1e-6)


def test_attributions_are_the_same_when_the_seed_is(bent):
    first, second, other = (explain(bent, ROW, orders=3, seed=seed).attributions for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).max() > 1e-6


def test_each_variant_is_asked_for_once_and_few_at_a_time_when_there_are_many(predictor_of, linear_of, monkeypatch):
    linear = linear_of("array")
    predictor = predictor_of(linear, score="bent")
    asked, outputs = [], predictor.outputs
    monkeypatch.setattr(predictor, "outputs", lambda rows: asked.append(rows) or outputs(rows))
    explain(predictor, linear.row, orders=200)
    variants = [np.asarray(row).tobytes() for rows in asked[1:] for row in rows]
    assert len(variants) == len(set(variants)) == 2**6
    asked.clear()
    image = linear_of("image")
    predictor = predictor_of(image, score="bent")
    outputs = predictor.outputs
    monkeypatch.setattr(predictor, "outputs", lambda rows: asked.append(rows) or outputs(rows))
    explain(predictor, image.row, parts=200, orders=1)
    assert max(map(len, asked)) == CHUNK_ROWS


def test_occlusion_costs_one_run_a_part_when_it_is_asked_for(predictor_of, linear_of, monkeypatch):
    linear = linear_of("image")
    predictor = predictor_of(linear)
    asked, outputs = [], predictor.outputs
    monkeypatch.setattr(predictor, "outputs", lambda rows: asked.extend(rows) or outputs(rows))
    explain(predictor, linear.row, method="occlusion")
    assert len(asked) == 1 + 1 + 48 + 1  # the row for its label, the row, each part, nothing


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label": "maybe"}, "label is 'maybe'; the model knows 2 labels: no, yes."),
        ({"parts": 0}, "parts is 0; it must be 1 or more."),
        ({"orders": -1}, "orders is -1; it must be 1 or more."),
        ({"method": "magic"}, "method is 'magic'; it must be 'shapley' or 'occlusion'."),
    ],
)
def test_setting_is_named_when_it_is_wrong(bent, settings, message):
    with pytest.raises(InputError) as caught:
        explain(bent, ROW, **settings)
    assert str(caught.value) == message


@pytest.mark.parametrize("kind", ["regression", "embedding"])
def test_label_is_refused_when_the_model_has_none(predictor_of, linear_of, kind):
    with pytest.raises(InputError) as caught:
        explain(predictor_of(linear_of("array"), kind), ROW, label="yes")
    assert str(caught.value) == f"label is 'yes'; the model gives a {kind}, which has no labels. Leave label out."


@pytest.mark.parametrize("kind", ["text", "pretrained_text", "audio"])
def test_baseline_is_refused_when_parts_are_cut_out(predictor_of, linear_of, kind):
    linear = linear_of(kind)
    with pytest.raises(InputError) as caught:
        explain(predictor_of(linear), linear.row, baseline=0)
    modality = linear.processor.modality
    assert str(caught.value) == f"baseline is 0; what is left out of a {modality} is cut out. Leave baseline out."


def test_row_is_named_when_it_cannot_be_understood(predictor_of, linear):
    with pytest.raises(InputError, match=r"^Row 0 "):
        explain(predictor_of(linear), object())


def test_bundle_explains_as_its_predictor_does_when_it_is_asked(bundles, tmp_path):
    bundle = Bundle.open(bundles.text_bundle(tmp_path / "bundle"))
    found, expected = (
        explain(bundle, "质量太差了", orders=2, seed=3),
        explain(bundle.predictor, "质量太差了", orders=2, seed=3),
    )
    np.testing.assert_array_equal(found.attributions, expected.attributions)
    assert found.label == bundle.predict(["质量太差了"])[0]["label"]
