"""MLflow's scoring protocol: by MLflow's own client on a real server, and beside MLflow's own server."""

import base64
import io
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from mlflow.pyfunc import load_model, scoring_server
from mlflow.pyfunc.scoring_server.client import ScoringServerClient
from PIL import Image

from maas.exporting.bundling import build_bundle
from maas.runtime.bundle import Bundle


@pytest.fixture(scope="module")
def folders(bundles, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return {
        "digits": bundles.array_bundle(folder / "digits"),
        "sentiment": bundles.text_bundle(folder / "sentiment"),
        "reviews": bundles.combined_bundle(folder / "reviews"),
        "shades": bundles.image_bundle(folder / "shades"),
        "price": bundles.value_bundle(folder / "price", bias=3.0, deviation=1.0),
        "gaps": bundles.gaps_bundle(folder / "gaps"),
    }


@pytest.fixture(scope="module")
def repository(asking, folders):
    return asking.repository_of(*folders.values())


@pytest.fixture(scope="module")
def own_servers(folders, tmp_path_factory) -> dict[str, TestClient]:
    """MLflow's own server of each bundle, in this process."""
    servers = {}
    for name in ("digits", "sentiment", "reviews", "gaps"):
        folder = tmp_path_factory.mktemp("models") / name
        folder.mkdir()
        model = load_model(str(as_mlflow_model(Bundle.open(folders[name]), folder)))
        servers[name] = TestClient(scoring_server.init(model))
    return servers


def as_mlflow_model(bundle: Bundle, folder: Path) -> Path:
    """The bundle as an export writes it: with what MLflow reads."""
    manifest = bundle.manifest
    build_bundle(
        folder,
        model=bundle.folder / "model.onnx",
        name=manifest.name,
        task=manifest.task,
        precision=manifest.precision,
        processor=bundle.predictor.processor,
        postprocessor=bundle.predictor.postprocessor,
        serving=manifest.serving,
        lineage=manifest.lineage,
        golden_rows=bundle.golden.inputs,
    )
    return folder


def table(bundle: Bundle) -> pd.DataFrame:
    """Golden rows as a table, as a user of MLflow has them."""
    rows = bundle.golden.inputs
    return pd.DataFrame(rows if len(bundle.manifest.signature.inputs) > 1 or isinstance(rows[0], list) else {"x": rows})


def bodies(bundle: Bundle) -> dict[str, dict]:
    """Golden rows in each form."""
    rows, frame = bundle.golden.inputs, table(bundle)
    forms = {
        "dataframe_split": frame.to_dict(orient="split"),
        "dataframe_records": frame.to_dict(orient="records"),
        "instances": rows,
        "inputs": frame.to_dict(orient="list") if isinstance(rows[0], dict) else rows,
    }
    return {form: {form: value} for form, value in forms.items()}


def assert_same(found: list[dict], expected: list[dict]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-6)


@pytest.mark.parametrize("form", ["dataframe_split", "dataframe_records", "instances", "inputs"])
@pytest.mark.parametrize("name", ["digits", "sentiment", "reviews", "price", "gaps"])
def test_each_form_is_answered_with_predictions(asking, repository, name, form):
    bundle = repository.snapshot.by_name[name].bundle
    body = json.dumps(bodies(bundle)[form])
    response = asking.ask(repository, "POST", f"/invocations?model={name}", content=body)
    assert response.status_code == 200, response.text
    assert list(response.json()) == ["predictions"]
    assert_same(response.json()["predictions"], bundle.predict(bundle.golden.inputs))


@pytest.mark.parametrize("form", ["dataframe_split", "dataframe_records", "instances", "inputs"])
@pytest.mark.parametrize("name", ["digits", "sentiment", "reviews", "gaps"])
def test_mlflows_own_server_gives_the_same(asking, repository, own_servers, name, form):
    body = bodies(repository.snapshot.by_name[name].bundle)[form]
    head = {"content-type": "application/json"}
    own = own_servers[name].post("/invocations", content=json.dumps(body), headers=head)
    assert own.status_code == 200, own.text
    found = asking.ask(repository, "POST", f"/invocations?model={name}", content=json.dumps(body), headers=head)
    assert_same(found.json()["predictions"], own.json()["predictions"])


@pytest.mark.parametrize("name", ["digits", "sentiment"])
def test_csv_is_answered_as_mlflows_own_server_does(asking, repository, own_servers, name):
    text = table(repository.snapshot.by_name[name].bundle).to_csv(index=False)
    head = {"content-type": "text/csv"}
    own = own_servers[name].post("/invocations", content=text.encode(), headers=head)
    assert own.status_code == 200, own.text
    found = asking.ask(repository, "POST", f"/invocations?model={name}", content=text.encode(), headers=head)
    assert_same(found.json()["predictions"], own.json()["predictions"])


@pytest.mark.parametrize("name", ["reviews", "gaps"])
def test_csv_of_columns_is_answered(asking, repository, name):
    """MLflow's own server reads no CSV where a signature has a column of any type."""
    bundle = repository.snapshot.by_name[name].bundle
    text, head = table(bundle).to_csv(index=False), {"content-type": "text/csv"}
    found = asking.ask(repository, "POST", f"/invocations?model={name}", content=text.encode(), headers=head)
    assert_same(found.json()["predictions"], bundle.predict(bundle.golden.inputs))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"rows": []}', b'{"instances": [], "inputs": []}'])
def test_error_has_the_keys_and_the_status_of_mlflows_own_server(asking, repository, own_servers, body):
    head = {"content-type": "application/json"}
    own = own_servers["reviews"].post("/invocations", content=body, headers=head)
    found = asking.ask(repository, "POST", "/invocations?model=reviews", content=body, headers=head)
    assert found.status_code == own.status_code == 400
    assert set(found.json()) <= set(own.json())
    assert found.json()["error_code"] == own.json()["error_code"] == "BAD_REQUEST"


def test_missing_number_is_nan_in_a_table(asking, repository, own_servers):
    frame = pd.DataFrame({"price": [np.nan, 2.0], "size": ["M", None]})
    body = json.dumps({"dataframe_split": frame.to_dict(orient="split")})
    assert "NaN" in body
    head = {"content-type": "application/json"}
    own = own_servers["gaps"].post("/invocations", content=body, headers=head)
    found = asking.ask(repository, "POST", "/invocations?model=gaps", content=body, headers=head)
    assert_same(found.json()["predictions"], own.json()["predictions"])
    rows = [{"price": None, "size": "M"}, {"price": 2.0, "size": None}]
    assert_same(found.json()["predictions"], repository.snapshot.by_name["gaps"].bundle.predict(rows))


def test_csv_leaves_values_out(asking, repository):
    head = {"content-type": "text/csv"}
    text = b"price,size\n,M\n2.0,\nNaN,S\n"
    found = asking.ask(repository, "POST", "/invocations?model=gaps", content=text, headers=head).json()
    rows = [{"price": None, "size": "M"}, {"price": 2.0, "size": None}, {"price": None, "size": "S"}]
    assert_same(found["predictions"], repository.snapshot.by_name["gaps"].bundle.predict(rows))


def test_files_are_base64_texts(asking, repository):
    content = io.BytesIO()
    Image.new("L", (4, 4), 200).save(content, "png")
    text = base64.b64encode(content.getvalue()).decode()
    expected = repository.snapshot.by_name["shades"].bundle.predict([content.getvalue()])
    for body in ({"dataframe_records": [{"image": text}]}, {"inputs": [text]}, {"inputs": {"image": [text]}}):
        found = asking.ask(repository, "POST", "/invocations?model=shades", json=body).json()
        assert_same(found["predictions"], expected)


def test_parameters_want_scores_by_label(asking, repository):
    body = {"inputs": {"text": ["好"]}, "params": {"top_k": 1}}
    (found,) = asking.ask(repository, "POST", "/invocations?model=sentiment", json=body).json()["predictions"]
    assert found["scores"] == {found["label"]: found["score"]}


BAD = {
    "no such model": ("?model=none", {"inputs": []}, 404, "RESOURCE_DOES_NOT_EXIST", "No model 'none' is served here"),
    "unknown parameter": ("", {"inputs": [], "params": {"temperature": 1}}, 400, "BAD_REQUEST", "`temperature`"),
    "unknown key": ("", {"input": []}, 400, "BAD_REQUEST", "`input`"),
    "unknown key of a table": ("", {"dataframe_split": {"data": [], "rows": 1}}, 400, "BAD_REQUEST", "`rows`"),
    "none": ("", {}, 400, "BAD_REQUEST", "none of dataframe_split, dataframe_records, instances, inputs; it takes one"),
    "two": ("", {"inputs": [], "instances": []}, 400, "BAD_REQUEST", "instances and inputs of"),
    "no rows": ("", {"dataframe_records": []}, 400, "BAD_REQUEST", "No rows were given"),
    "uneven": (
        "?model=reviews", {"dataframe_split": {"columns": ["review", "price"], "data": [["a"]]}}, 400, "BAD_REQUEST",
        "Row 0 has 1 values; the table has 2 columns.",
    ),
    "twice": (
        "?model=reviews", {"dataframe_split": {"columns": ["price", "price"], "data": [[1, 2]]}}, 400, "BAD_REQUEST",
        "two columns of one name",
    ),
    "unknown column": (
        "?model=reviews", {"dataframe_records": [{"review": "a", "cost": 1}]}, 400, "BAD_REQUEST",
        "Row 0 has the column 'cost', which the model does not know",
    ),
    "wide": ("", {"dataframe_split": {"data": [[1, 2]]}}, 400, "BAD_REQUEST", "Row 0 has shape [2]; the model takes"),
    "too many": ("?model=sentiment", {"inputs": ["a"] * 1025}, 413, "BAD_REQUEST", "has 1025 rows"),
    "no labels": (
        "?model=price", {"inputs": [[1, 2, 3, 4]], "params": {"scores": True}}, 400, "BAD_REQUEST", "has no labels",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_request_is_refused_in_the_protocols_form(asking, repository, case):
    query, body, status, code, cause = BAD[case]
    response = asking.ask(repository, "POST", f"/invocations{query}", json=body)
    assert response.status_code == status
    assert set(response.json()) == {"error_code", "message"}
    assert response.json()["error_code"] == code
    assert cause in response.json()["message"]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (b"", "The body is empty; send CSV"),
        (b"\xff", "not UTF-8"),
        (b'review,price\n"a', "not CSV"),
        (b"review,price\na\n", "Row 0 has 1 values; the table has 2 columns."),
        (b"review,price\na,cheap\n", "Row 0 has 'cheap' in the column price; it takes numbers."),
        (b"review,price\na,inf\n", "Row 0 has 'inf' in the column price"),
        (b"review,cost\na,1\n", "the column 'cost'"),
        (b"review\n", "No rows were given"),
    ],
)
def test_bad_csv_is_refused_with_the_cause(asking, repository, text, cause):
    head = {"content-type": "text/csv; charset=utf-8"}
    response = asking.ask(repository, "POST", "/invocations?model=reviews", content=text, headers=head)
    assert response.status_code == 400
    assert cause in response.json()["message"]


def test_parquet_is_refused(asking, repository):
    head = {"content-type": "application/vnd.apache.parquet"}
    response = asking.ask(repository, "POST", "/invocations", content=b"PAR1", headers=head)
    assert response.status_code == 415
    assert "reads application/json and text/csv" in response.json()["message"]


@pytest.mark.parametrize("path", ["/ping", "/health"])
def test_server_without_a_model_is_not_healthy(asking, repository, path):
    assert asking.ask(repository, "GET", path).status_code == 200
    response = asking.ask(asking.repository_of(), "GET", path)
    assert response.status_code == 503
    assert response.json()["error_code"] == "TEMPORARILY_UNAVAILABLE"


def test_mlflows_client_is_answered(array_server, array_folder):
    client = ScoringServerClient("127.0.0.1", array_server.port)
    client.ping()
    client.wait_server_ready(timeout=30)
    assert client.get_version() == version("maas")
    bundle = Bundle.open(array_folder)
    rows = np.random.default_rng(0).integers(0, 17, (200, 64))
    expected = bundle.predict(list(rows))
    for data in (rows, pd.DataFrame(rows), pd.DataFrame(rows, columns=[f"pixel {at}" for at in range(64)])):
        assert_same(client.invoke(data).get_predictions().to_dict("records"), expected)
    assert client.invoke(rows[:1], params={"top_k": 2})["predictions"][0]["scores"].keys() >= {expected[0]["label"]}


def test_mlflows_client_sends_texts(text_server, text_folder):
    client = ScoringServerClient("127.0.0.1", text_server.port)
    texts = [f"第{number}条评论，质量很好" for number in range(200)]
    expected = Bundle.open(text_folder).predict(texts)
    for data in (texts, pd.DataFrame({"text": texts}), np.array(texts)):
        assert_same(client.invoke(data).get_predictions().to_dict("records"), expected)
