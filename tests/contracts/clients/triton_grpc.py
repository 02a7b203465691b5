"""Sends rows with Triton's gRPC client, and compares what it reads: `triton_grpc.py ADDRESS FILE`."""

import json
import sys
from pathlib import Path

import numpy as np
import tritonclient.grpc as triton

known = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))


def infer(model: str, name: str, **columns: tuple[np.ndarray, str]) -> np.ndarray:
    inputs = []
    for column, (values, datatype) in columns.items():
        inputs.append(triton.InferInput(column, list(values.shape), datatype))
        inputs[-1].set_data_from_numpy(values)
    return client.infer(model, inputs).as_numpy(name)


def fault_of(model: str, datatype: str, values: np.ndarray, **settings: object) -> tuple[str, str]:
    try:
        tensor = triton.InferInput("input", list(values.shape), datatype)
        tensor.set_data_from_numpy(values)
        client.infer(model, [tensor], **settings)
    except triton.InferenceServerException as error:
        return error.status(), error.message()
    return "StatusCode.OK", ""


with triton.InferenceServerClient(sys.argv[1]) as client:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("digits", "1")
    assert client.get_server_metadata().name == "maas"
    assert [list(one.shape) for one in client.get_model_metadata("digits").inputs] == [[-1, 64]]
    assert [one.name for one in client.get_model_repository_index().models] == ["digits", "sentiment", "sums"]
    numbers, texts, table = known["numbers"], known["texts"], known["table"]
    (before,) = client.get_inference_statistics("digits").model_stats
    found = infer("digits", "probabilities", input=(np.asarray(numbers["rows"], np.float32), "FP32"))
    np.testing.assert_allclose(found, numbers["scores"], rtol=1e-6, atol=1e-6)
    rows = np.asarray([row.encode() for row in texts["rows"]], dtype=object)
    np.testing.assert_allclose(infer("sentiment", "score", text=(rows, "BYTES")), np.max(texts["scores"], axis=1), 1e-6)
    found = infer(
        "sums",
        "value",
        price=(np.asarray([row["price"] for row in table["rows"]], np.float64), "FP64"),
        area=(np.asarray([row["area"] for row in table["rows"]], np.int64), "INT64"),
        size=(np.asarray([row["size"].encode() for row in table["rows"]], object), "BYTES"),
    )
    np.testing.assert_allclose(found, table["values"], 1e-6)
    (after,) = client.get_inference_statistics("digits").model_stats
    assert after.inference_count - before.inference_count == len(numbers["rows"])
    assert after.inference_stats.success.count - before.inference_stats.success.count == 1
    ones = np.ones((1, 64), np.float32)
    wanted = [triton.InferRequestedOutput("probabilities", class_count=2)]
    tensor = triton.InferInput("input", [1, 64], "FP32")
    tensor.set_data_from_numpy(ones)
    classes = client.infer("digits", [tensor], outputs=wanted, request_id="seven")
    assert classes.as_numpy("probabilities").shape == (1, 2)
    assert classes.get_response().id == "seven"
    assert fault_of("other", "FP32", ones) == (
        "StatusCode.NOT_FOUND",
        "No model 'other' is served here; there is digits, sentiment, sums.",
    )
    status, message = fault_of("digits", "FP64", ones.astype(np.float64))
    assert (status, message) == (
        "StatusCode.INVALID_ARGUMENT",
        "Input 'input' has datatype 'FP64'; the model takes FP32.",
    )
    assert fault_of("digits", "FP32", ones, sequence_id=7)[0] == "StatusCode.INVALID_ARGUMENT"
    assert fault_of("digits", "FP32", np.ones((2000, 64), np.float32))[0] == "StatusCode.RESOURCE_EXHAUSTED"
print(*(len(one["rows"]) for one in (numbers, texts, table)))
