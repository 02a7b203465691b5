#!/usr/bin/env bash
# KServe 0.21.0 turns infinity into NaN in both directions of a JSON request: its client and its server write null for
# it, and both read null as NaN. Nobody is told; the same tensor as binary data arrives as it was sent.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet kserve==0.21.0 numpy==2.4.6 httpx==0.28.1 orjson==3.13.0
"$folder/venv/bin/python" -W ignore - <<'PY'
import asyncio
import importlib.metadata
import logging
import sys

import httpx
import numpy as np
from kserve import InferInput, InferOutput, InferRequest, InferResponse, Model, ModelRepository
from kserve.inference_client import InferenceRESTClient, RESTConfig
from kserve.model_server import app
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.protocol.rest.server import RESTServer

arrived = []
scores = np.array([1.5, -np.inf, np.inf], np.float32)


class Scores(Model):
    """Keeps what it is given, and answers with a fixed array."""

    async def predict(self, request, headers=None, response_headers=None):
        arrived.append(request.inputs[0].as_numpy())
        output = InferOutput("scores", [3], "FP32", data=scores)
        return InferResponse("1", self.name, [output], use_binary_outputs=request.use_binary_outputs)


async def ends():
    """What the server and the client read, as JSON and as binary data."""
    logging.disable()
    model, models = Scores("model"), ModelRepository()
    model.ready = True
    models.update(model)
    plane = DataPlane(models)
    RESTServer("kserve.model_server:app", plane, ModelRepositoryExtension(plane), 0).create_application()
    client = InferenceRESTClient(RESTConfig(protocol="v2", transport=httpx.ASGITransport(app)))
    found = []
    for binary in (False, True):
        tensor = InferInput("scores", [3], "FP32")
        tensor.set_data_from_numpy(scores, binary_data=binary)
        request = InferRequest("model", [tensor], parameters={"binary_data_output": binary})
        answer = await client.infer("http://model", request, model_name="model")
        found.append((arrived.pop(), answer.outputs[0].as_numpy()))
    return found


versions = {name: importlib.metadata.version(name) for name in ("kserve", "orjson", "numpy")}
print(*(f"{name} {version}" for name, version in versions.items()))
json, binary = asyncio.run(ends())
print("sent, and answered by the model:", scores)
print("expected: the same at the other end, as binary data gives it:", *binary, "- or an error")
print("seen:     at the server", json[0], "at the client", json[1])
lost = np.array([1.5, np.nan, np.nan], np.float32)
same = all(np.array_equal(found, scores) for found in binary)
sys.exit(0 if same and all(np.array_equal(found, lost, equal_nan=True) for found in json) else 1)
PY
