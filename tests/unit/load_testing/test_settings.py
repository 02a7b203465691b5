"""Arguments of a load test, and the inputs that it finds."""

import json

import pytest

from maas.errors import ConfigError, MaasError, ServerError
from maas.load_testing.settings import settings_of
from maas.load_testing.target import load_target, rows_of_file

URL = "url=http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "url is missing. Set e.g. url=http://127.0.0.1:8080."),
        ([URL, "rat=5"], "rat is not a setting of a load test. Did you mean rate?"),
        ([URL, "fast"], "'fast' is not key=value. Write e.g. url=http://127.0.0.1:8080."),
        ([URL, "rate=5", "rate=6"], "rate is given twice: rate=5 and rate=6. Leave one."),
        ([URL, "inputs="], "inputs is empty. Leave it out, or set it."),
    ],
)
def test_wrong_argument_is_named_in_one_line(arguments, message):
    with pytest.raises(ConfigError) as found:
        settings_of(arguments)
    assert str(found.value) == message


@pytest.mark.parametrize(
    "argument",
    ["rate=0", "rate=1,x", "rate=", "rate=-1", "rate=nan", "seconds=0", "connections=501", "connections=x", "rows=0",
     "arrivals=odd", "url=https://host", "url=localhost:8080", "url=http://", "url=http://h:x"],
)  # fmt: skip
def test_value_that_cannot_be_is_refused_by_its_key(argument):
    key = argument.partition("=")[0]
    with pytest.raises(ConfigError, match=f"^{key} is "):
        settings_of([URL, argument] if key != "url" else [argument])


def test_rates_are_read_when_there_are_several():
    assert settings_of([URL, "rate=5,7.5"]).rates == (5.0, 7.5)
    assert settings_of([URL, "rate=auto"]).rates == ()


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("a.json", b'[[1, 2], {"b": null}]', [[1, 2], {"b": None}]),
        ("a.jsonl", b'"x"\n\n[3]\n', ["x", [3]]),
        ("a.txt", "好\n\n b \n".encode(), ["好", " b "]),
    ],
)
def test_file_gives_rows_by_its_ending(name, content, rows, tmp_path):
    (tmp_path / name).write_bytes(content)
    assert rows_of_file(tmp_path / name) == rows


@pytest.mark.parametrize(
    ("name", "content"), [("a.json", b"{}"), ("a.json", b"[]"), ("a.jsonl", b"{"), ("a.txt", b"\xff"), ("a.txt", b" ")]
)
def test_file_without_rows_is_named(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=name):
        rows_of_file(tmp_path / name)
    with pytest.raises(ConfigError, match=r"gone.txt cannot be read"):
        rows_of_file(tmp_path / "gone.txt")


def test_rows_of_a_file_are_sent_in_turn_when_a_request_has_several(tmp_path):
    (tmp_path / "rows.json").write_text("[1, 2, 3, 4, 5]")
    settings = settings_of([URL + "/a/", f"inputs={tmp_path}/rows.json", "rows=2", "model=m", "version=3"])
    target = load_target(settings)
    heads, bodies = zip(*(request.split(b"\r\n\r\n") for request in target.requests), strict=True)
    assert [json.loads(body) for body in bodies] == [
        {"inputs": [1, 2], "model": "m", "version": "3"},
        {"inputs": [3, 4], "model": "m", "version": "3"},
    ]
    assert heads[0].startswith(b"POST /a/v1/predictions HTTP/1.1\r\nhost: 127.0.0.1:8080\r\n")
    assert f"content-length: {len(bodies[0])}".encode() in heads[0]


def test_documented_example_is_sent_when_no_file_is_given(scripted, reply):
    def of(example):
        return {"post": {"requestBody": {"content": {"application/json": {"example": example}}}}}

    document = {"paths": {"/v1/predictions": of({"inputs": ["x"]}), "/v2/models/{name}/infer": of({"a": 1})}}
    with scripted(lambda handler, _, __: reply(handler, 200, json.dumps(document).encode())) as server:
        url = f"url={server.url}/p"
        bodies = [
            load_target(settings_of([url, *more])).requests[0].split(b"\r\n\r\n")[1]
            for more in ([], ["rows=3"], ["path=/v2/models/m/infer"])
        ]
        assert [json.loads(body) for body in bodies] == [{"inputs": ["x"]}, {"inputs": ["x"] * 3}, {"a": 1}]
        with pytest.raises(ConfigError, match="documents no example for /v3"):
            load_target(settings_of([url, "path=/v3"]))
    assert {path for path, _ in server.seen} == {"/p/openapi.json"}


def test_server_without_a_document_is_named(scripted, reply):
    with (
        scripted(lambda handler, _, __: reply(handler, 200, b"<html>")) as server,
        pytest.raises(MaasError, match="no JSON"),
    ):
        load_target(settings_of([f"url={server.url}"]))
    with pytest.raises(ServerError, match=r"^http://127.0.0.1:9 cannot be reached: "):
        load_target(settings_of(["url=http://127.0.0.1:9"]))
