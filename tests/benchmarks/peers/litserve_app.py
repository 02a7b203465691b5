"""LitServe: batches of up to 32."""

import os

import litserve as ls
from model import WAIT_MS, Model, Row


class Predict(ls.LitAPI):
    def setup(self, device: str) -> None:
        self.model = Model()

    def decode_request(self, request: dict) -> Row:
        return request["input_data"][0]

    def batch(self, inputs: list[Row]) -> list[Row]:
        return inputs

    def predict(self, rows: list[Row]) -> list[list[float]]:
        return self.model.scores(rows)

    def unbatch(self, output: list[list[float]]) -> list[list[float]]:
        return output

    def encode_response(self, row: list[float]) -> dict:
        return {"predictions": [row]}


if __name__ == "__main__":
    api = Predict(max_batch_size=32, batch_timeout=WAIT_MS / 1000)
    ls.LitServer(api, accelerator="cpu").run(
        host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning", generate_client_file=False
    )
