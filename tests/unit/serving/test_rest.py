"""The documents' own examples, word for word, on a real server; and every way to ask wrongly."""

import json
import socket

import httpx
import pytest

from maas.runtime.bundle import Bundle

MIB = 2**20
ZEROS = [0] * 64


def test_text_classification_answers_as_the_documents_say(text_server, text_folder):
    response = text_server.client.post("/v1/text-classification", json={"text": "这是一个很棒的文本"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == Bundle.open(text_folder).predict(["这是一个很棒的文本"])[0]
    assert set(response.json()) == {"label", "score"}


def test_predict_answers_as_the_documents_say(array_server, array_folder):
    rows = [[0, 0, 1, *ZEROS[3:]]]
    response = array_server.client.post("/predict", json={"input_data": rows})
    bundle = Bundle.open(array_folder)
    expected = bundle.predictor.postprocessor.scores(bundle.predictor.outputs(rows))
    assert response.json() == {"predictions": expected.tolist()}


def test_list_of_inputs_gets_a_list_of_answers_in_order(text_server, array_server, text_folder, array_folder):
    texts = ["好", "a long text that shares no batch with its neighbours at all, I think", "坏"]
    found = text_server.client.post("/v1/text-classification", json={"text": texts}).json()
    assert found == Bundle.open(text_folder).predict(texts)
    rows = [ZEROS, [16] * 64]
    found = array_server.client.post("/v1/tabular-classification", json={"input": rows}).json()
    assert found == Bundle.open(array_folder).predict(rows)


def test_single_row_gets_a_single_answer(array_server, array_folder):
    found = array_server.client.post("/v1/tabular-classification", json={"input": ZEROS}).json()
    assert found == Bundle.open(array_folder).predict([ZEROS])[0]


def test_rows_of_a_text_model_are_strings(text_server):
    found = text_server.client.post("/predict", json={"input_data": ["好", "坏"]}).json()
    assert [len(row) for row in found["predictions"]] == [2, 2]


@pytest.mark.parametrize("choice", [{"model": "sentiment"}, {"version": "1"}, {"model": "sentiment", "version": 1}])
def test_model_and_version_may_be_named(text_server, choice):
    assert text_server.client.post("/v1/text-classification", json={"text": "好", **choice}).status_code == 200
    assert text_server.client.post("/predict", json={"input_data": ["好"], **choice}).status_code == 200


@pytest.mark.parametrize(
    "content_type", [None, "application/json; charset=utf-8", "application/x-www-form-urlencoded", "text/plain"]
)
def test_json_is_read_whatever_it_is_called(text_server, content_type):
    headers = {"content-type": content_type} if content_type else {}
    body = '{"text": "好"}'.encode()
    assert text_server.client.post("/v1/text-classification", content=body, headers=headers).status_code == 200


BAD_TEXT = {
    "empty text": (b'{"text": ""}', 400, "Row 0 is an empty text"),
    "empty text in a list": ('{"text": ["好", " "]}'.encode(), 400, "Row 1 is an empty text"),
    "no texts": (b'{"text": []}', 400, "No rows were given"),
    "missing key": (b"{}", 400, "missing required field `text`"),
    "wrong key": (b'{"txt": "a"}', 400, "`txt`"),
    "number": (b'{"text": 5}', 400, "Row 0 is of type int; the model takes a text"),
    "null": (b'{"text": null}', 400, "Row 0 is null"),
    "object": (b'{"text": {"a": 1}}', 400, "Row 0 is of type dict"),
    "nested list": (b'{"text": [["a"]]}', 400, "Row 0 is of type list"),
    "not an object": (b'["a"]', 400, "Expected `object`, got `array`"),
    "broken JSON": (b'{"text": "a"', 400, "not JSON"),
    "more than JSON": (b'{"text": "a"} x', 400, "trailing characters"),
    "NaN": (b'{"text": NaN}', 400, "not JSON"),
    "empty body": (b"", 400, "The body is empty"),
    "invalid UTF-8": (b'{"text": "\xff\xfe"}', 400, "not UTF-8"),
    "lone surrogate": (b'{"text": "\\ud800"}', 400, "surrogate"),
    "lone surrogate inside": (b'{"text": "a\\ud800b"}', 400, "surrogate"),
    "low surrogate first": (b'{"text": "\\udc00 a"}', 400, "surrogate"),
    "deep nesting": (b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, "nested too deeply"),
    "unknown model": (b'{"text": "a", "model": "x"}', 404, "No model 'x' is served here; there is sentiment"),
    "unknown version": (b'{"text": "a", "version": 7}', 404, "in version 1, not 7"),
    "wrong version": (b'{"text": "a", "version": 1.5}', 400, "The body's version is 1.5; it is a whole number"),
    "too many rows": (json.dumps({"text": ["a"] * 1025}).encode(), 413, "has 1025 rows; this server takes 1024"),
    "large body": (b'{"text": "' + b"a" * 9 * MIB + b'"}', 413, "this server takes 8,388,608"),
    "larger body": (b" " * 50 * MIB, 413, "52,428,800 bytes"),
}

BAD_ROWS = {
    "narrow": (json.dumps({"input_data": [[1, 2]]}), 400, "Row 0 has shape [2]; the model takes [64]"),
    "second narrow": (json.dumps({"input_data": [ZEROS, [1]]}), 400, "Row 1 has shape [1]"),
    "flat": (json.dumps({"input_data": ZEROS}), 400, "Row 0 is a single value; the model takes [64] of them."),
    "uneven": (json.dumps({"input_data": [[[1], [1, 2]]]}), 400, "Row 0 is not an array of numbers"),
    "string": (json.dumps({"input_data": "abc"}), 400, "Expected `array`, got `str`"),
    "strings for numbers": (json.dumps({"input_data": [["1"] * 64]}), 400, "something else than numbers"),
    "null": (json.dumps({"input_data": [[None, *ZEROS[1:]]]}), 400, "something else than numbers"),
    "NaN": (json.dumps({"input_data": [[float("nan"), *ZEROS[1:]]]}), 400, "not JSON"),
    "too large for a float": (json.dumps({"input_data": [[1e39, *ZEROS[1:]]]}), 400, "not a finite number"),
    "too large for any number": (json.dumps({"input_data": [[10**400, *ZEROS[1:]]]}), 400, "else than numbers"),
    "out of range": (json.dumps({"input_data": [[17, *ZEROS[1:]]]}), 400, "from 0 to 17"),
    "no rows": (json.dumps({"input_data": []}), 400, "No rows were given"),
    "empty row": (json.dumps({"input_data": [[]]}), 400, "Row 0 has shape [0]"),
    "the other route's key": (json.dumps({"input": ZEROS}), 400, "`input"),
}  # fmt: skip


def assert_refused(response: httpx.Response, status: int, cause: str) -> None:
    assert response.status_code == status, response.text
    content = response.json()
    assert cause in content["error"]
    assert content["code"].replace("_", "").islower()


@pytest.mark.parametrize("case", BAD_TEXT)
def test_bad_text_is_refused_with_the_cause_and_the_next_is_answered(text_server, case):
    body, status, cause = BAD_TEXT[case]
    assert_refused(text_server.client.post("/v1/text-classification", content=body), status, cause)
    assert text_server.client.post("/v1/text-classification", json={"text": "好"}).status_code == 200


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows_are_refused_with_the_cause_and_the_next_are_answered(array_server, case):
    body, status, cause = BAD_ROWS[case]
    assert_refused(array_server.client.post("/predict", content=body), status, cause)
    assert array_server.client.post("/predict", json={"input_data": [ZEROS]}).status_code == 200


def test_large_chunked_body_is_refused(text_server):
    chunks = (b"a" * MIB for _ in range(20))
    response = text_server.client.post("/v1/text-classification", content=chunks)
    assert_refused(response, 413, "8,388,608")
    assert response.headers["connection"] == "close"


def test_client_that_waits_for_leave_is_refused_before_it_sends(text_server):
    head = "POST /predict HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 999999999\r\n\r\n"
    with socket.create_connection(("127.0.0.1", text_server.port)) as connection:
        connection.sendall(head.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_unknown_path_lists_what_is_served(text_server):
    response = text_server.client.post("/v1/nothing", json={})
    assert_refused(response, 404, "POST /v1/text-classification, POST /predict")


def test_wrong_method_names_the_right_one(text_server):
    response = text_server.client.get("/v1/text-classification")
    assert_refused(response, 405, "takes POST, not GET")
    assert response.headers["allow"] == "POST"


def test_form_with_files_and_body_of_an_unknown_compression_are_refused(text_server):
    response = text_server.client.post("/v1/text-classification", files={"text": b"a"})
    assert_refused(response, 415, "multipart")
    response = text_server.client.post("/predict", content=b"{}", headers={"content-encoding": "br"})
    assert_refused(response, 415, "compressed as 'br'; this server reads gzip, x-gzip, deflate")


def test_scores_are_the_same_however_the_rows_are_written(array_server, array_folder):
    rows = [[number % 17 + fraction for number in range(64)] for fraction in (0, 0.25)]
    rows[1] = [min(16.0, number) for number in rows[1]]
    expected = Bundle.open(array_folder).predictor.scores(rows[:1]).tolist()
    whole = array_server.client.post("/predict", json={"input_data": rows[:1]}).json()["predictions"]
    named = array_server.client.post("/predict", json={"input_data": rows[:1], "model": "digits"}).json()["predictions"]
    assert whole == named == expected
    both = array_server.client.post("/predict", json={"input_data": rows}).json()["predictions"]
    assert both == Bundle.open(array_folder).predictor.scores(rows).tolist()


@pytest.mark.parametrize("path", ["/v1/schema", "/docs"])
def test_empty_version_is_refused_when_a_model_is_described(array_server, path):
    reply = array_server.client.get(path, params={"model": "digits", "version": ""})
    assert (reply.status_code, reply.json()["error"]) == (
        400,
        "version is empty. Leave it out, or name a version of 'digits'.",
    )
