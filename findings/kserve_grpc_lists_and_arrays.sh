#!/usr/bin/env bash
# KServe 0.21.0 sends one output's numbers under another's name over gRPC, if a response holds a list before an array.
#
# InferOutput takes its data as a list or as a numpy array. to_grpc() writes lists to the output's own `contents` and
# arrays to `raw_output_contents`, in one message, though the protocol wants raw data for each tensor or for none.
# from_grpc() then gives the first raw buffer to the first output: `count` reads as `scores`, without an error, and only
# who reads `scores` too gets one. Array before list, or two of a kind, are right.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet kserve==0.21.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import importlib.metadata
import sys

import numpy as np
from kserve import InferOutput, InferResponse


def read(count, scores):
    """What a client reads of the two outputs, after the message has been bytes."""
    outputs = [InferOutput("count", [2], "FP32", data=count), InferOutput("scores", [2], "FP32", data=scores)]
    message = InferResponse(response_id="1", model_name="model", infer_outputs=outputs).to_grpc()
    found = {}
    for output in InferResponse.from_grpc(type(message).FromString(message.SerializeToString())).outputs:
        try:
            found[output.name] = output.as_numpy().tolist()
        except ValueError as error:
            found[output.name] = str(error)
    return found


print("kserve", importlib.metadata.version("kserve"), "numpy", np.__version__)
count, scores = [1.0, 2.0], [0.25, 0.75]
sent = {"count": count, "scores": scores}
arrays = [np.array(values, np.float32) for values in (count, scores)]
print("expected:", sent)
right = [read(count, scores), read(*arrays), read(arrays[0], scores)]
for form, found in zip(("two lists", "two arrays", "array and list"), right):
    print("seen:    ", found, "with", form)
mixed = read(count, arrays[1])
print("seen:    ", mixed, "with list and array")
sys.exit(0 if right == [sent] * 3 and mixed["count"] == scores else 1)
PY
