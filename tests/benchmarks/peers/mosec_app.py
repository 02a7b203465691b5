"""mosec: one worker, batches of up to 32."""

from model import WAIT_MS, Model
from mosec import Server, Worker


class Predict(Worker):
    def __init__(self) -> None:
        self.model = Model()

    def forward(self, data: list[dict]) -> list[dict]:
        scores = self.model.scores([one["input_data"][0] for one in data])
        return [{"predictions": [row]} for row in scores]


if __name__ == "__main__":
    server = Server()
    server.append_worker(Predict, num=1, max_batch_size=32, max_wait_time=WAIT_MS)
    server.run()
