"""Labels, scores by their names, and parameters in the query."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from maas.runtime.bundle import Bundle
from maas.serving.protocols.labels import named_scores
from maas.serving.repository import Repository

ROUTE = "/v1/tabular-classification"


@pytest.fixture(scope="module")
def repository(asking, bundles, tmp_path_factory) -> Repository:
    folder = tmp_path_factory.mktemp("bundles")
    values = bundles.value_bundle(folder / "values", bias=3.0, deviation=1.0)
    return asking.repository_of(
        bundles.array_bundle(folder / "digits"), bundles.image_bundle(folder / "shades"), values
    )


@pytest.fixture(scope="module")
def rows(repository) -> list[list[float]]:
    return repository.snapshot.first.bundle.golden.inputs


@pytest.fixture(scope="module")
def probabilities(repository, rows) -> np.ndarray:
    bundle: Bundle = repository.snapshot.first.bundle
    return bundle.predictor.outputs(rows)["probabilities"]


def test_labels_are_listed_in_the_order_of_the_scores(asking, repository):
    response = asking.ask(repository, "GET", f"{ROUTE}/labels")
    assert response.json() == {"model": "digits", "version": "1", "labels": [str(digit) for digit in range(10)]}
    assert asking.ask(repository, "GET", "/v1/image-classification/labels").json()["labels"] == ["dark", "bright"]


def test_model_without_labels_has_no_page_of_labels(asking, repository):
    assert asking.ask(repository, "GET", "/v1/tabular-regression/labels").status_code == 404


@pytest.mark.parametrize(
    ("query", "body"),
    [("?scores=true", {}), ("?scores=1", {}), ("", {"scores": True}), ("?scores=true", {"scores": True})],
)
def test_all_scores_come_by_name_in_the_labels_order(asking, repository, rows, probabilities, query, body):
    found = asking.ask(repository, "POST", f"{ROUTE}{query}", json={"input": rows[0], **body}).json()
    assert list(found) == ["label", "score", "scores"]
    assert list(found["scores"]) == [str(digit) for digit in range(10)]
    np.testing.assert_allclose(list(found["scores"].values()), probabilities[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("query", "body"), [("?top_k=3", {}), ("", {"top_k": 3}), ("?top_k=3&scores=true", {})])
def test_best_scores_come_first(asking, repository, rows, probabilities, query, body):
    found = asking.ask(repository, "POST", f"{ROUTE}{query}", json={"input": rows, **body}).json()
    for prediction, row in zip(found, probabilities, strict=True):
        best = sorted(range(10), key=lambda at: -row[at])[:3]
        assert list(prediction["scores"]) == [str(at) for at in best]
        assert prediction["label"] == str(best[0])
        np.testing.assert_allclose(list(prediction["scores"].values()), row[best], rtol=0, atol=1e-6)


@pytest.mark.parametrize("top_k", [10, 11, 10**30])
def test_more_scores_than_labels_are_all_of_them(asking, repository, rows, top_k):
    found = asking.ask(repository, "POST", ROUTE, json={"input": rows[0], "top_k": top_k}).json()
    assert len(found["scores"]) == 10
    assert list(found["scores"].values()) == sorted(found["scores"].values(), reverse=True)


@pytest.mark.parametrize("query", ["?scores=false", "?other=1", "?scores=0&model=digits", ""])
def test_scores_are_left_out_unless_they_are_wanted(asking, repository, rows, query):
    assert set(asking.ask(repository, "POST", f"{ROUTE}{query}", json={"input": rows[0]}).json()) == {"label", "score"}


def test_file_has_its_scores_by_the_query(asking, repository):
    content = io.BytesIO()
    Image.new("L", (4, 4), 200).save(content, "png")
    path, head = "/v1/image-classification?top_k=1", {"content-type": "image/png"}
    found = asking.ask(repository, "POST", path, content=content.getvalue(), headers=head).json()
    assert found == {"label": "bright", "score": found["score"], "scores": {"bright": found["score"]}}


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("?top_k=0", {}, 400, "The parameter top_k is '0'; it is a whole number from 1 to 999999999, e.g. top_k=3."),
        ("?top_k=-1", {}, 400, "top_k is '-1'"),
        ("?top_k=²", {}, 400, "whole number"),
        ("?scores=yes", {}, 400, "The parameter scores is 'yes'; it is true or false."),
        ("?model=none", {}, 404, "No model 'none' is served here; there is digits, price, shades."),
        ("?version=7", {}, 404, "in version 1, not 7"),
        ("", {"top_k": 0}, 400, "$.top_k"),
    ],
)
def test_wrong_parameter_is_refused_with_the_cause(asking, repository, rows, path, body, status, message):
    response = asking.ask(repository, "POST", f"{ROUTE}{path}", json={"input": rows[0], **body})
    assert response.status_code == status
    assert message in response.json()["error"]


def test_body_decides_where_the_query_says_something_else(asking, repository, rows):
    path = f"{ROUTE}?model=none&version=7&top_k=1&scores=true"
    body = {"input": rows[0], "model": "digits", "version": 1, "top_k": 2, "scores": False}
    response = asking.ask(repository, "POST", path, json=body)
    assert response.status_code == 200
    assert len(response.json()["scores"]) == 2


def test_scores_of_a_model_without_labels_are_refused(asking, repository):
    response = asking.ask(repository, "POST", "/v1/tabular-regression?top_k=2", json={"input": [1, 2, 3, 4]})
    assert response.status_code == 400
    assert response.json()["error"] == "Model 'price' has no labels; leave out top_k and scores."


def test_query_names_the_model(asking, repository):
    found = asking.ask(repository, "POST", "/predict?model=price&version=1", json={"input_data": [[1, 2, 3, 4]]})
    bundle = repository.snapshot.by_name["price"].bundle
    assert found.json()["predictions"][0] == pytest.approx([bundle.predict([[1, 2, 3, 4]])[0]["value"]], abs=1e-6)


def test_first_of_equal_scores_is_the_best():
    scores = np.array([[0.25, 0.5, 0.25], [0.4, 0.4, 0.2]], np.float32)
    assert [list(row) for row in named_scores(scores, ("a", "b", "c"), 2)] == [["b", "a"], ["a", "b"]]


def test_large_body_keeps_its_parameters(asking, repository, rows):
    body = {"input": rows * 20, "top_k": 1}
    found = asking.ask(repository, "POST", ROUTE, content=b" " * 2**14 + json.dumps(body).encode()).json()
    assert [len(one["scores"]) for one in found] == [1] * len(body["input"])
