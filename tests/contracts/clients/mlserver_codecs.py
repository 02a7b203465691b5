"""Sends rows as MLServer's codecs encode them, and compares what they decode: `mlserver_codecs.py URL FILE`."""

import json
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import pandas as pd
from mlserver.codecs import Base64Codec, NumpyCodec, PandasCodec, StringCodec
from mlserver.codecs.json import encode_to_json_bytes
from mlserver.types import InferenceRequest, InferenceResponse

url = sys.argv[1]
known = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))


def infer(model: str, request: InferenceRequest) -> InferenceResponse:
    body = encode_to_json_bytes(request.model_dump())
    with urlopen(Request(f"{url}/v2/models/{model}/infer", body)) as reply:
        return InferenceResponse.model_validate_json(reply.read())


def decoded(response: InferenceResponse, name: str, codec: type = NumpyCodec) -> object:
    return codec.decode_output(next(output for output in response.outputs if output.name == name))


def near(found: object, expected: object) -> None:
    np.testing.assert_allclose(np.asarray(found).reshape(np.shape(expected)), expected, rtol=1e-6, atol=1e-6)


numbers = known["numbers"]
response = infer(
    "digits",
    InferenceRequest(inputs=[NumpyCodec.encode_input("input", np.asarray(numbers["rows"], dtype=np.float32))]),
)
near(decoded(response, "probabilities"), numbers["scores"])
assert decoded(response, "label", StringCodec) == numbers["labels"]

texts = known["texts"]
for codec, rows in ((StringCodec, texts["rows"]), (Base64Codec, [row.encode() for row in texts["rows"]])):
    response = infer("sentiment", InferenceRequest(inputs=[codec.encode_input("text", rows)]))
    near(decoded(response, "probabilities"), texts["scores"])

table = known["table"]
frame = pd.DataFrame(table["rows"]).astype({"size": object})  # the codec knows no other texts of pandas 3
response = infer("sums", PandasCodec.encode_request(frame))
near(PandasCodec.decode_response(response)["value"], table["values"])
print(len(numbers["rows"]), len(texts["rows"]), len(table["rows"]))
