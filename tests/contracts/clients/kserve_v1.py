"""Sends rows with KServe's SDK in its first protocol, and compares what it reads: `kserve_v1.py URL FILE`."""

import asyncio
import json
import sys
from pathlib import Path

import numpy as np
from httpx import HTTPStatusError
from kserve import InferenceRESTClient
from kserve.inference_client import RESTConfig

url = sys.argv[1]
known = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))


async def predictions(client: InferenceRESTClient, model: str, rows: list) -> list:
    found = await client.infer(url, {"instances": rows}, model_name=model)
    assert list(found) == ["predictions"]
    return found["predictions"]


async def refused(client: InferenceRESTClient) -> str:
    try:
        await predictions(client, "digits", [[1, 2]])
    except HTTPStatusError as error:
        return str(error)
    raise AssertionError("a narrow row was answered")


async def main() -> None:
    numbers, texts, table = known["numbers"], known["texts"], known["table"]
    async with InferenceRESTClient(RESTConfig(protocol="v1")) as client:
        for model in ("digits", "sentiment", "sums"):
            assert await client.is_model_ready(url, model) is True
        found = await predictions(client, "digits", numbers["rows"])
        np.testing.assert_allclose([one["probabilities"] for one in found], numbers["scores"], rtol=1e-6, atol=1e-6)
        assert [one["label"] for one in found] == numbers["labels"]
        found = await predictions(client, "sentiment", texts["rows"])
        np.testing.assert_allclose([one["probabilities"] for one in found], texts["scores"], rtol=1e-6, atol=1e-6)
        found = await predictions(client, "sums", table["rows"])
        np.testing.assert_allclose(found, table["values"], rtol=1e-6)
        assert "Row 0 has shape [2]; the model takes [64]." in await refused(client)


asyncio.run(main())
print(*(len(known[name]["rows"]) for name in ("numbers", "texts", "table")))
