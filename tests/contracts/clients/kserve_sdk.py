"""Sends rows with KServe's SDK, over REST and gRPC, and compares what it reads: `kserve_sdk.py URL FILE ADDRESS`."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, InferResponse
from kserve.inference_client import RESTConfig

url = sys.argv[1]
known = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))


def tensor(name: str, values: np.ndarray, datatype: str, *, binary: bool) -> InferInput:
    made = InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values, binary_data=binary)
    return made


def array(response: InferResponse, name: str) -> np.ndarray:
    return response.get_output_by_name(name).as_numpy()


Infer = Callable[[str, InferRequest], Awaitable[InferResponse]]


async def compare(send: Infer, *, binary: bool) -> None:
    async def infer(model: str, *inputs: InferInput) -> InferResponse:
        return await send(model, InferRequest(model, list(inputs), parameters={"binary_data_output": binary}))

    numbers, texts, table = known["numbers"], known["texts"], known["table"]
    rows = np.asarray(numbers["rows"], dtype=np.float32)
    response = await infer("digits", tensor("input", rows, "FP32", binary=binary))
    np.testing.assert_allclose(array(response, "probabilities"), numbers["scores"], rtol=1e-6, atol=1e-6)
    rows = np.asarray([row.encode() for row in texts["rows"]], dtype=object)
    response = await infer("sentiment", tensor("text", rows, "BYTES", binary=binary))
    np.testing.assert_allclose(array(response, "probabilities"), texts["scores"], rtol=1e-6, atol=1e-6)
    prices = np.asarray([row["price"] for row in table["rows"]], dtype=np.float64)
    areas = np.asarray([row["area"] for row in table["rows"]], dtype=np.int64)
    sizes = np.asarray([row["size"].encode() for row in table["rows"]], dtype=object)
    columns = [tensor("area", areas, "INT64", binary=binary), tensor("size", sizes, "BYTES", binary=binary)]
    price = tensor("price", prices, "FP64", binary=binary)
    if not binary:
        price.data = [None if np.isnan(value) else value for value in price.data]
    response = await infer("sums", price, *columns)
    np.testing.assert_allclose(array(response, "value"), table["values"], rtol=1e-6)


async def main() -> None:
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        assert await client.is_server_ready(url)
        assert await client.is_server_live(url)
        assert await client.is_model_ready(url, "digits")
        for binary in (True, False):
            await compare(lambda model, request: client.infer(url, request, model), binary=binary)
    async with InferenceGRPCClient(sys.argv[3]) as client:
        assert await client.is_server_ready()
        assert await client.is_server_live()
        assert await client.is_model_ready("digits")
        await compare(lambda _, request: client.infer(request), binary=True)


asyncio.run(main())
print(*(len(known[name]["rows"]) for name in ("numbers", "texts", "table")))
