"""What the serving benchmark compares with: an endpoint that does nothing, and FastAPI by hand around the same bundle.

python -m tests.benchmarks.compared_servers PORT [BUNDLE]
"""

import sys

import uvicorn

from maas.runtime.bundle import Bundle
from tests.benchmarks.raw_loop import is_heavy


async def nothing(scope, receive, send) -> None:
    """Reads the body and answers a constant."""
    if scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
        headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})


def fastapi_by_hand(folder: str):
    """Returns the application that one writes in ten minutes: a heavy model in FastAPI's threads, any other without."""
    from fastapi import FastAPI
    from pydantic import create_model

    bundle = Bundle.open(folder)
    predictor = bundle.predictor
    row = str if predictor.signature.inputs[0].datatype == "BYTES" else list[float]
    body = create_model("Body", input_data=(list[row], ...))
    app = FastAPI()

    def predict(sent: body) -> dict[str, list[list[float]]]:
        outputs = predictor.outputs(sent.input_data)
        return {"predictions": predictor.postprocessor.scores(outputs).tolist()}

    async def predict_on_the_loop(sent: body) -> dict[str, list[list[float]]]:
        return predict(sent)

    app.post("/predict")(predict if is_heavy(bundle) else predict_on_the_loop)
    return app


if __name__ == "__main__":
    port, *folder = sys.argv[1:]
    app = fastapi_by_hand(*folder) if folder else nothing
    uvicorn.run(app, port=int(port), loop="uvloop", http="httptools", log_level="warning", access_log=False)
