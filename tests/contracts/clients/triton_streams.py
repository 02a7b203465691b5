"""Streams texts with Triton's gRPC client, and compares what it reads: `triton_streams.py ADDRESS FILE`."""

import json
import queue
import sys
from functools import partial
from pathlib import Path

import numpy as np
import tritonclient.grpc as triton

known = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
found: queue.Queue = queue.Queue()


def text_input(text: str) -> list[triton.InferInput]:
    tensor = triton.InferInput("text_input", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([text.encode()], dtype=object))
    return [tensor]


with triton.InferenceServerClient(sys.argv[1]) as client:
    assert client.is_model_ready("tiny")
    assert [one.name for one in client.get_model_metadata("tiny").inputs] == ["text_input"]
    client.start_stream(partial(lambda queue, result, error: queue.put((result, error)), found))
    for number, prompt in enumerate(known["prompts"]):
        settings = {"max_tokens": 24, "temperature": 1.0, "seed": number}
        client.async_stream_infer(
            "tiny", text_input(prompt), request_id=str(number), parameters=settings, enable_empty_final_response=True
        )
    texts, left = [""] * len(known["prompts"]), len(known["prompts"])
    while left:
        result, error = found.get(timeout=60)
        assert error is None, error
        response = result.get_response()
        texts[int(response.id)] += result.as_numpy("text_output")[0].decode()
        left -= response.parameters["triton_final_response"].bool_param
    assert texts == known["texts"], texts
    client.async_stream_infer("tiny", text_input("a"), request_id="x", parameters={"heat": 1})
    result, error = found.get(timeout=60)
    assert "heat" in error.message(), error
    client.async_stream_infer("nobody", text_input("a"))
    assert "No model 'nobody' is served here" in found.get(timeout=60)[1].message()
    client.async_stream_infer("tiny", text_input("the"), parameters={"max_tokens": 3})
    assert found.get(timeout=60)[1] is None
    client.stop_stream()
print("ok")
