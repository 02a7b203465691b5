"""BentoML: one service, adaptive batches of up to 32."""

import bentoml
from model import Model


@bentoml.service(workers=1, traffic={"timeout": 60})
class Predict:
    def __init__(self) -> None:
        self.model = Model()

    @bentoml.api(batchable=True, max_batch_size=32, max_latency_ms=1000)
    def predict(self, input_data: list[list[float]]) -> list[list[float]]:
        return self.model.scores(input_data)
