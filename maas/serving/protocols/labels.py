"""The labels of a model and their scores by name: what a caller may want beside a prediction."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.errors import InputError
from maas.runtime.codec import Outputs
from maas.runtime.postprocessors import Postprocessor
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.operations import Content, OperationDocument, Page, Reply, Request
from maas.serving.protocols.parameters import MODEL_QUERY, chosen_deployment
from maas.serving.protocols.schemas import schema_like
from maas.serving.repository import Deployment, Snapshot

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
        deployment, _ = chosen_deployment(request, snapshot, snapshot.by_task[self.task], None, None)
        return Reply(encode(_labels_of(deployment)))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns those of the task's first model as an example."""
        example = _labels_of(snapshot.by_task[self.task])
        return OperationDocument(Content(schema_like(example), example), query=MODEL_QUERY)


def require_labels(deployment: Deployment) -> None:
    """Refuses to give scores by name for a model that has no labels.

    Raises:
        InputError: it has none.
    """
    if not deployment.postprocessor.labels:
        raise InputError(f"Model {deployment.name!r} has no labels; leave out top_k and scores.")


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


def _labels_of(deployment: Deployment) -> dict[str, object]:
    return {
        "model": deployment.name,
        "version": deployment.version,
        "labels": list(deployment.postprocessor.labels),
    }
