"""BentoML: one service, adaptive batches of up to 32, which wait as its dispatcher finds best."""

import bentoml
from model import Model, Row


@bentoml.service(workers=1, traffic={"timeout": 60})
class Predict:
    def __init__(self) -> None:
        self.model = Model()

    @bentoml.api(batchable=True, max_batch_size=32)
    def predict(self, input_data: list[Row]) -> list[list[float]]:
        return self.model.scores(input_data)
