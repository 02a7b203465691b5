"""The labels of a model and their scores by name: what a caller may want beside a prediction."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from maas.errors import InputError
from maas.runtime.codec import Outputs
from maas.runtime.postprocessors import Postprocessor
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.operation_documents import Content, OperationDocument
from maas.serving.protocols.operations import Page, Reply, Request
from maas.serving.protocols.parameters import (
    MODEL_QUERY,
    WholeCount,
    chosen_deployment,
    count_parameter,
    truth_parameter,
)
from maas.serving.protocols.schemas import schema_like
from maas.serving.repository import PredictingDeployment, Snapshot

PredictionMaker: TypeAlias = Callable[[Outputs], list[dict[str, Any]]]
"""Makes a prediction for each row of outputs."""
SCORES_SCHEMA = {
    "type": "object",
    "additionalProperties": {"type": "number"},
    "description": "the score of each label, where scores or top_k is wanted",
}


class LabelsPage(Page):
    """The labels of a model, in the order of its scores.

    Args:
        task: that the models solve.
    """

    protocol = "rest"
    summary = "Lists a model's labels, in the order of its scores."

    def __init__(self, task: str) -> None:
        self.path = f"/v1/{task}/labels"
        self.task = task

    def reply(self, request: Request, snapshot: Snapshot) -> Reply:
        """Returns them, with the model's name and version."""
        deployment, _ = chosen_deployment(request, snapshot, snapshot.for_task(self.task), None, None)
        return Reply(encode(_labels_of(deployment)))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns those of the task's first model as an example."""
        example = _labels_of(snapshot.for_task(self.task))
        return OperationDocument(Content(schema_like(example), example), query=MODEL_QUERY)


def top_k_of(
    request: Request, top_k: WholeCount | None, scores: bool | None, deployment: PredictingDeployment
) -> int | None:
    """Returns how many scores by label a request wants beside each prediction: 0 for all, None for none.

    Args:
        request: its query may have `top_k` and `scores`.
        top_k: of the body, where it has one.
        scores: of the body, where it has one.
        deployment: the model.

    Raises:
        InputError: the model has no labels, or a parameter of the query is wrong.
    """
    if request.query or top_k is not None:
        top_k, scores = count_parameter(request, "top_k", top_k), truth_parameter(request, "scores", scores)
    if top_k is None and not scores:
        return None
    labels = deployment.postprocessor.labels
    if not labels:
        raise InputError(f"Model {deployment.name!r} has no labels; leave out top_k and scores.")
    return min(int(top_k or 0), len(labels))


def prediction_maker(deployment: PredictingDeployment, top_k: int | None) -> PredictionMaker:
    """Returns what makes predictions of outputs, with as many scores by label as a call wants.

    Args:
        deployment: the model.
        top_k: number of scores beside each prediction, 0 for all; None for none.
    """
    if top_k is None:
        return deployment.postprocessor.predictions
    return partial(predictions_with_scores, deployment.postprocessor, top_k=top_k)


def predictions_with_scores(postprocessor: Postprocessor, outputs: Outputs, top_k: int) -> list[dict[str, Any]]:
    """Returns a prediction for each row, with its scores by label beside it.

    Args:
        postprocessor: of a model with labels.
        outputs: the graph's outputs, (N, …) each.
        top_k: largest number of scores, the best first; 0 for all, in the order of the labels.
    """
    named = named_scores(postprocessor.scores(outputs), postprocessor.labels, top_k)
    predictions = postprocessor.predictions(outputs)
    return [{**prediction, "scores": scores} for prediction, scores in zip(predictions, named, strict=True)]


def named_scores(scores: NDArray[Any], labels: Sequence[str], top_k: int) -> list[dict[str, float]]:
    """Returns the scores of each row by label; of equal scores the first label comes first.

    Args:
        scores: (N, K).
        labels: K names.
        top_k: largest number of scores, the best first; 0 for all, in the order of the labels.
    """
    rows = scores.tolist()
    if not top_k:
        return [dict(zip(labels, row, strict=True)) for row in rows]
    best = np.argsort(-scores, axis=1, kind="stable")[:, :top_k].tolist()
    return [{labels[at]: row[at] for at in order} for row, order in zip(rows, best, strict=True)]


def _labels_of(deployment: PredictingDeployment) -> dict[str, object]:
    return {
        "model": deployment.name,
        "version": deployment.version,
        "labels": list(deployment.postprocessor.labels),
    }
