"""FastAPI: no batching, which it has none of.

A run of 20 µs belongs on the event loop. A long one would hold it up, so its endpoint is declared with `def`, as the
documents say of blocking code: FastAPI runs it in one of 40 threads, and several runs take several cores at a time.
"""

import os

import uvicorn
from fastapi import FastAPI
from model import IS_TEXT, Model, Row
from pydantic import BaseModel


class Body(BaseModel):
    input_data: list[Row]


app, model = FastAPI(), Model()


def predict(body: Body) -> dict[str, list[list[float]]]:
    return {"predictions": model.scores(body.input_data)}


async def predict_on_the_loop(body: Body) -> dict[str, list[list[float]]]:
    return predict(body)


app.post("/predict")(predict if IS_TEXT else predict_on_the_loop)

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["PORT"]), log_level="warning", access_log=False)
