"""Ray Serve: one replica, batches of up to 32."""

import os

from model import WAIT_MS, Model, Row
from ray import serve
from starlette.requests import Request


@serve.deployment(max_ongoing_requests=256)
class Predict:
    def __init__(self) -> None:
        self.model = Model()

    @serve.batch(max_batch_size=32, batch_wait_timeout_s=WAIT_MS / 1000)
    async def scores(self, rows: list[Row]) -> list[list[float]]:
        return self.model.scores(rows)

    async def __call__(self, request: Request) -> dict:
        rows = (await request.json())["input_data"]
        return {"predictions": [await self.scores(rows[0])]}


if __name__ == "__main__":
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])})
    serve.run(Predict.bind(), route_prefix="/predict", blocking=True)
