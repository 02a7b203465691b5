"""Small requests that are read by simdjson say what msgspec reads of them; all others are left to msgspec."""

import json
import struct

import msgspec
import pytest

from maas.serving.protocols.open_inference.flat_numbers import flat_request
from maas.serving.protocols.open_inference.messages import INFER_DECODER
from maas.serving.protocols.operations import LARGE_BODY_BYTES

TENSOR = {"name": "input", "shape": [1, 4], "datatype": "FP32", "data": [1, -2.5, 1e-7, 0.1]}


def body(tensor: dict | None = None, **beside) -> bytes:
    return json.dumps({"inputs": [{**TENSOR, **(tensor or {})}], **beside}).encode()


READ = {
    "plain": body(),
    "double": body({"datatype": "FP64"}),
    "no numbers": body({"data": []}),
    "other order": json.dumps({"inputs": [dict(reversed(TENSOR.items()))]}).encode(),
    "blanks": json.dumps({"inputs": [TENSOR]}, indent=3).encode(),
    "all that may be beside": body(
        {"parameters": {"content_type": "np"}},
        id="名",
        parameters={"timeout": 3, "binary_data_output": True},
        outputs=[{"name": "score", "parameters": {"classification": 2}}, {"name": "label"}],
    ),
    "unknown fields": body({"other": 1}, model_name="digits", other={"deep": {"er": None}}),
    "digits": body({"data": [0.1 + 0.2, 1.7976931348623157e308, 5e-324, 123456789.12345678, 2**53 + 1]}),
}


@pytest.mark.parametrize("case", READ)
def test_request_says_the_same_when_it_is_read_in_one_go(case):
    request, numbers = flat_request(READ[case])
    expected = INFER_DECODER.decode(READ[case])
    values = msgspec.json.decode(bytes(expected.inputs[0].data), type=list[float])
    assert struct.pack(f"{len(values)}d", *values) == numbers.tobytes()
    expected.inputs[0].data = msgspec.UNSET
    assert request == expected


LEFT = {
    "nested": body({"data": [[1, 2, 3, 4]]}),
    "nested in part": body({"data": [1, [2], 3, 4]}),
    "null": body({"data": [1, None]}),
    "text": body({"data": [1, "2"]}),
    "truth": body({"data": [1, True]}),
    "whole numbers": body({"datatype": "INT64"}),
    "no list": body({"data": 1}),
    "binary as well": body({"parameters": {"binary_data_size": 16}}),
    "packed": body({"parameters": {"content_type": "base64"}}),
    "content type of no name": body({"parameters": {"content_type": {}}}),
    "no data": json.dumps({"inputs": [{"name": "input", "shape": [1], "datatype": "FP32"}]}).encode(),
    "no shape": json.dumps({"inputs": [{"name": "input", "datatype": "FP32", "data": [1]}]}).encode(),
    "shape of texts": body({"shape": ["1"]}),
    "two inputs": json.dumps({"inputs": [TENSOR, TENSOR]}).encode(),
    "no inputs": b"{}",
    "list": b"[]",
    "number": b"1",
    "empty": b"",
    "broken": body()[:-1],
    "more": body() + b"1",
    "not UTF-8": body().replace(b"input", b"\xff", 1),
    "huge number": body().replace(b"-2.5", b"1e999"),
    "deep": b'{"inputs":' + b"[" * 5000,
    "large": body({"data": [0.5] * LARGE_BODY_BYTES}),
}


@pytest.mark.parametrize("case", LEFT)
def test_request_is_left_to_the_reader_that_names_faults_when_it_is_another(case):
    assert flat_request(LEFT[case]) is None


def test_memory_of_numbers_stays_when_the_next_request_is_read():
    _, first = flat_request(body())
    flat_request(body({"data": [9, 9, 9, 9]}))
    assert first.tolist() == TENSOR["data"]
