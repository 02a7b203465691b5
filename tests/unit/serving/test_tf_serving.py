"""TensorFlow Serving's REST, by requests in the forms of its documentation; and the pages of the models."""

import base64
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from maas.runtime.bundle import Bundle
from maas.serving.protocols.rows import rows_of_columns, rows_of_instances, rows_of_records, rows_of_table
from maas.serving.repository import Repository, Snapshot
from maas.serving.repository.snapshots import VersionLabel


@pytest.fixture(scope="module")
def repository(asking, bundles, tmp_path_factory) -> Repository:
    folder = tmp_path_factory.mktemp("bundles")
    return asking.repository_of(
        bundles.array_bundle(folder / "digits"),
        bundles.text_bundle(folder / "sentiment"),
        bundles.combined_bundle(folder / "reviews"),
        bundles.image_bundle(folder / "shades"),
        bundles.value_bundle(folder / "price", bias=3.0, deviation=1.0),
        bundles.gaps_bundle(folder / "gaps"),
    )


def bundle_of(repository: Repository, name: str) -> Bundle:
    return repository.snapshot.by_name[name].bundle


def expected_rows(bundle: Bundle, rows: list) -> list[dict]:
    """What each row gives, by the bundle alone."""
    outputs = bundle.predictor.outputs(rows)
    tensors = bundle.predictor.postprocessor.tensors(outputs)
    return [{name: array[index].tolist() if isinstance(array[index], np.ndarray | np.generic) else array[index]
             for name, array in tensors.items()} for index in range(len(rows))]  # fmt: skip


def assert_same(found: object, expected: object) -> None:
    """Compares JSON values; numbers within 1e-6."""
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for name, value in expected.items():
            assert_same(found[name], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    else:
        assert found == (pytest.approx(expected, abs=1e-6) if isinstance(expected, float) else expected)


@pytest.mark.parametrize("name", ["digits", "sentiment", "reviews", "shades"])
@pytest.mark.parametrize("path", ["/v1/models/{}:predict", "/v1/models/{}/versions/1:predict"])
def test_instances_are_answered_row_by_row(asking, repository, name, path):
    bundle = bundle_of(repository, name)
    rows = bundle.golden.inputs
    response = asking.ask(repository, "POST", path.format(name), json={"instances": rows})
    assert response.status_code == 200, response.text
    assert list(response.json()) == ["predictions"]
    assert_same(response.json()["predictions"], expected_rows(bundle, rows))


@pytest.mark.parametrize("name", ["digits", "sentiment", "reviews", "shades"])
def test_inputs_are_answered_column_by_column(asking, repository, name):
    bundle = bundle_of(repository, name)
    rows, specs = bundle.golden.inputs, bundle.manifest.signature.inputs
    columns = {spec.name: [row[spec.name] for row in rows] for spec in specs} if len(specs) > 1 else rows
    response = asking.ask(repository, "POST", f"/v1/models/{name}:predict", json={"inputs": columns})
    assert response.status_code == 200, response.text
    by_row = expected_rows(bundle, rows)
    expected = {output: [row[output] for row in by_row] for output in by_row[0]}
    assert_same(response.json(), {"outputs": expected})
    if len(specs) == 1:
        named = {"inputs": {specs[0].name: rows}}
        again = asking.ask(repository, "POST", f"/v1/models/{name}:predict", json=named)
        assert again.content == response.content


def test_only_output_has_no_name(asking, repository):
    bundle = bundle_of(repository, "price")
    rows = bundle.golden.inputs
    values = [prediction["value"] for prediction in bundle.predict(rows)]
    by_row = asking.ask(repository, "POST", "/v1/models/price:predict", json={"instances": rows}).json()
    assert_same(by_row, {"predictions": values})
    by_column = asking.ask(repository, "POST", "/v1/models/price:predict", json={"inputs": rows}).json()
    assert_same(by_column, {"outputs": values})


def test_only_input_may_be_named_in_each_instance(asking, repository):
    plain = asking.ask(repository, "POST", "/v1/models/sentiment:predict", json={"instances": ["好", "bad"]})
    named = {"signature_name": "serving_default", "instances": [{"text": "好"}, {"text": ["bad"]}]}
    assert asking.ask(repository, "POST", "/v1/models/sentiment:predict", json=named).content == plain.content
    column = {"instances": [["好"], ["bad"]]}
    assert asking.ask(repository, "POST", "/v1/models/sentiment:predict", json=column).content == plain.content


def test_bytes_come_as_base64(asking, repository):
    content = io.BytesIO()
    Image.new("L", (4, 4), 200).save(content, "png")
    bundle = bundle_of(repository, "shades")
    (expected,) = expected_rows(bundle, [content.getvalue()])
    body = {"instances": [{"b64": base64.b64encode(content.getvalue()).decode()}]}
    found = asking.ask(repository, "POST", "/v1/models/shades:predict", json=body).json()
    assert_same(found, {"predictions": [expected]})
    text = {"instances": [{"b64": base64.b64encode("好".encode()).decode()}]}
    found = asking.ask(repository, "POST", "/v1/models/sentiment:predict", json=text).json()
    assert_same(found, {"predictions": expected_rows(bundle_of(repository, "sentiment"), ["好"])})


@pytest.mark.parametrize("signature", ["", "serving_default", "classification", None])
def test_examples_are_classified(asking, repository, signature):
    bundle = bundle_of(repository, "reviews")
    rows = bundle.golden.inputs
    body = {"signature_name": signature, "examples": [{name: [value] for name, value in row.items()} for row in rows]}
    found = asking.ask(repository, "POST", "/v1/models/reviews:classify", json=body).json()
    scores = bundle.predictor.outputs(rows)["probabilities"].tolist()
    assert_same(found, {"results": [[["short", row[0]], ["long", row[1]]] for row in scores]})


def test_context_is_shared_by_all_examples(asking, repository):
    rows = [{"review": text, "price": 2.0, "size": "M"} for text in ("a", "bad film")]
    whole = asking.ask(repository, "POST", "/v1/models/reviews:classify", json={"examples": rows})
    apart = {"context": {"price": 2.0, "size": "M"}, "examples": [{"review": "a"}, {"review": "bad film"}]}
    assert asking.ask(repository, "POST", "/v1/models/reviews:classify", json=apart).content == whole.content


def test_examples_are_regressed(asking, repository):
    bundle = bundle_of(repository, "price")
    rows = bundle.golden.inputs
    body = {"examples": [{"input": row} for row in rows]}
    found = asking.ask(repository, "POST", "/v1/models/price:regress", json=body).json()
    assert_same(found, {"results": [prediction["value"] for prediction in bundle.predict(rows)]})


def test_nan_is_a_missing_number(asking, repository):
    body = json.dumps({"instances": [{"price": float("nan"), "size": "M"}]}).encode()
    assert b"NaN" in body
    found = asking.ask(repository, "POST", "/v1/models/gaps:predict", content=body).json()
    expected = bundle_of(repository, "gaps").predict([{"price": None, "size": "M"}])
    assert_same(found, {"predictions": [expected[0]["value"]]})


BAD = {
    "no such model": ("/v1/models/none:predict", {"instances": [[1]]}, 404, "No model 'none' is served here"),
    "no such version": ("/v1/models/digits/versions/7:predict", {"instances": [[1]]}, 404, "in version 1, not 7"),
    "neither": ("/v1/models/digits:predict", {}, 400, "neither; it takes instances (rows) or inputs (columns)"),
    "both": ("/v1/models/digits:predict", {"instances": [], "inputs": []}, 400, "both instances and inputs"),
    "unknown key": ("/v1/models/digits:predict", {"instances": [], "parameters": {}}, 400, "`parameters`"),
    "no rows": ("/v1/models/digits:predict", {"instances": []}, 400, "No rows were given"),
    "no list": ("/v1/models/digits:predict", {"instances": "a"}, 400, "Expected `array`, got `str`"),
    "narrow": ("/v1/models/digits:predict", {"instances": [[1, 2]]}, 400, "Row 0 has shape [2]; the model takes [64]"),
    "no columns": ("/v1/models/digits:predict", {"inputs": 3}, 400, "The inputs are a list for each name"),
    "uneven": (
        "/v1/models/reviews:predict", {"inputs": {"review": ["a"], "price": [1, 2], "size": ["S"]}}, 400,
        "unequal numbers of rows: {'review': 1, 'price': 2, 'size': 1}",
    ),
    "wrong name": ("/v1/models/digits:predict", {"inputs": {"x": []}}, 400, "The inputs are ['x']; the model takes"),
    "wrong key": ("/v1/models/digits:predict", {"instances": [{"x": 1}]}, 400, "Row 0 has ['x']; the model takes one"),
    "wrong column": ("/v1/models/reviews:predict", {"instances": [{"cost": 1}]}, 400, "Row 0 has the column 'cost'"),
    "not base64": ("/v1/models/shades:predict", {"instances": [{"b64": "*"}]}, 400, "image as b64 that is not base64"),
    "not a text": (
        "/v1/models/sentiment:predict", {"instances": [{"b64": "/w=="}]}, 400, "not the base64 of a text in UTF-8",
    ),
    "no such signature": (
        "/v1/models/digits:predict", {"signature_name": "x", "instances": [[1]]}, 400,
        "The signature 'x' is not there for predict; there is serving_default.",
    ),
    "no labels": (
        "/v1/models/price:classify", {"examples": [{"input": [1, 2, 3, 4]}]}, 400, "Model 'price' has no labels",
    ),
    "no value": (
        "/v1/models/digits:regress", {"examples": [{"input": [0] * 64}]}, 400, "'digits' has no single value a row",
    ),
    "context twice": (
        "/v1/models/reviews:classify", {"context": {"price": 1}, "examples": [{"review": "a", "price": 2}]}, 400,
        "Row 0 has price, which the context has as well",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_request_is_refused_in_the_protocols_form(asking, repository, case):
    path, body, status, cause = BAD[case]
    response = asking.ask(repository, "POST", path, json=body)
    assert response.status_code == status
    assert list(response.json()) == ["error"]
    assert cause in response.json()["error"]


def test_infinity_is_refused(asking, repository):
    body = b'{"instances": [{"review": "a", "size": "NaN", "price": Infinity}]}'
    response = asking.ask(repository, "POST", "/v1/models/reviews:predict", content=body)
    assert response.status_code == 400
    assert "not JSON" in response.json()["error"]


def test_metadata_names_tensors_as_tensorflow_does(asking, repository):
    found = asking.ask(repository, "GET", "/v1/models/digits/metadata").json()
    assert found["model_spec"] == {"name": "digits", "signature_name": "", "version": "1"}
    signatures = found["metadata"]["signature_def"]["signature_def"]
    assert list(signatures) == ["serving_default", "classification"]
    assert signatures["serving_default"]["method_name"] == "tensorflow/serving/predict"
    assert signatures["serving_default"]["inputs"]["input"] == {
        "dtype": "DT_FLOAT",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}, {"size": "64", "name": ""}], "unknown_rank": False},
        "name": "input:0",
    }
    assert {name: one["dtype"] for name, one in signatures["serving_default"]["outputs"].items()} == {
        "label": "DT_STRING",
        "score": "DT_FLOAT",
        "probabilities": "DT_FLOAT",
    }
    regression = asking.ask(repository, "GET", "/v1/models/price/versions/1/metadata").json()
    assert "regression" in regression["metadata"]["signature_def"]["signature_def"]


def test_version_is_available(asking, repository):
    available = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    for path in ("/v1/models/digits", "/v1/models/digits/versions/1"):
        assert asking.ask(repository, "GET", path).json()["model_version_status"] == [available]
    response = asking.ask(repository, "GET", "/v1/models/digits/versions/2")
    assert response.status_code == 404
    assert list(response.json()) == ["error"]


def test_models_are_listed_for_three_protocols_at_once(asking, repository):
    found = asking.ask(repository, "GET", "/v1/models").json()
    assert found["object"] == "list"
    assert found["models"] == ["digits", "sentiment", "reviews", "shades", "price", "gaps"]
    assert [one["id"] for one in found["data"]] == found["models"]
    for one in found["data"]:
        assert asking.ask(repository, "GET", f"/v1/models/{one['id']}").json() == one
        assert (one["object"], one["owned_by"], one["name"], one["ready"]) == ("model", "maas", one["id"], True)
        manifest = bundle_of(repository, one["id"]).folder / "manifest.json"
        assert one["created"] == int(manifest.stat().st_mtime)


def test_model_whose_folder_is_gone_has_no_time(asking, bundles, tmp_path):
    repository = asking.repository_of(bundles.array_bundle(tmp_path / "a"))
    assert asking.ask(repository, "GET", "/v1/models/digits").json()["created"] > 0
    (tmp_path / "a/manifest.json").unlink()
    assert asking.ask(repository, "GET", "/v1/models/digits").json()["created"] == 0


def test_server_without_models_lists_none(asking):
    assert asking.ask(Repository(), "GET", "/v1/models").json() == {"object": "list", "data": [], "models": []}


@pytest.fixture(scope="module")
def two_versions(asking, bundles, tmp_path_factory) -> Repository:
    """Version 1 answers where none is named; version 2 has other weights, and a label."""
    folder = tmp_path_factory.mktemp("versions")
    repository = asking.repository_of(bundles.array_bundle(folder / "1"))
    other = asking.repository_of(bundles.array_bundle(folder / "2", seed=7)).snapshot.first
    deployments = (repository.snapshot.first, replace(other, version="2"))
    repository.snapshot = Snapshot(deployments, (VersionLabel("digits", "champion", "2"),))
    return repository


@pytest.mark.parametrize(
    ("path", "version"),
    [
        ("/v1/models/digits:predict", "1"),
        ("/v1/models/digits/versions/2:predict", "2"),
        ("/v1/models/digits/labels/champion:predict", "2"),
    ],
)
def test_label_names_a_version(asking, two_versions, path, version):
    bundle = two_versions.snapshot.find("digits", version).bundle
    rows = bundle.golden.inputs
    response = asking.ask(two_versions, "POST", path, json={"instances": rows})
    assert response.headers["maas-version"] == version
    assert_same(response.json()["predictions"], expected_rows(bundle, rows))


def test_query_names_a_label_of_a_version(asking, two_versions):
    bundle = two_versions.snapshot.find("digits", "champion").bundle
    rows = bundle.golden.inputs
    for path in ("/invocations?version=champion", "/invocations?model=digits&version=2"):
        response = asking.ask(two_versions, "POST", path, json={"inputs": rows})
        assert response.headers["maas-version"] == "2"
        assert_same(response.json()["predictions"], bundle.predict(rows))


def test_versions_and_their_labels_are_listed(asking, two_versions):
    found = asking.ask(two_versions, "GET", "/v1/models/digits").json()
    assert [one["version"] for one in found["model_version_status"]] == ["1", "2"]
    assert (found["version"], found["version_labels"]) == ("1", {"champion": "2"})
    one = asking.ask(two_versions, "GET", "/v1/models/digits/labels/champion").json()
    assert [status["version"] for status in one["model_version_status"]] == ["2"]


def test_large_rows_are_read_by_the_other_process(asking, repository):
    bundle = bundle_of(repository, "digits")
    rows = bundle.golden.inputs * 40
    response = asking.ask(repository, "POST", "/v1/models/digits:predict", json={"inputs": rows})
    probabilities = [row["probabilities"] for row in expected_rows(bundle, rows)]
    assert_same(response.json()["outputs"]["probabilities"], probabilities)


def specs(repository: Repository, name: str):
    return bundle_of(repository, name).manifest.signature.inputs


def test_table_is_rows_by_column_or_values(repository):
    table = specs(repository, "reviews")
    assert rows_of_table(["review", "price"], [["a", 1]], table) == [{"review": "a", "price": 1}]
    assert rows_of_table(None, [["a", 1, "S"]], table) == [["a", 1, "S"]]
    assert rows_of_records([{"review": "a"}], table) == [{"review": "a"}]
    assert rows_of_table(["anything"], [["a"], ["b"]], specs(repository, "sentiment")) == ["a", "b"]
    assert rows_of_table(None, [[1, 2]], specs(repository, "digits")) == [[1, 2]]
    assert rows_of_records([{"0": 1, "1": 2}], specs(repository, "digits")) == [[1, 2]]
    assert rows_of_records([{"pixels": [[1]]}], specs(repository, "shades")) == [[[1]]]
    assert rows_of_table(None, [[5]], specs(repository, "digits")) == [[5]]


def test_columns_are_rows_in_order(repository):
    assert rows_of_columns({"review": ["a", "b"], "price": [[1], [2]]}, specs(repository, "reviews")) == [
        {"review": "a", "price": 1},
        {"review": "b", "price": 2},
    ]
    assert rows_of_instances([["a"], "b"], specs(repository, "sentiment")) == ["a", "b"]
