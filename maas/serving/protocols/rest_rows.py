"""Plain REST's requests of one row of numbers and nothing beside: read and answered without being parsed."""

from dataclasses import dataclass
from functools import partial

from maas.runtime.codec import Outputs
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.number_rows import number_row, number_rows, takes_number_rows
from maas.serving.protocols.operations import JSON, ReadRow, Reply, RowReader
from maas.serving.repository import PredictingDeployment


@dataclass(frozen=True)
class ScoreReplies:
    """Makes replies that hold the scores of one row each.

    Args:
        deployment: the one that ran.
    """

    deployment: PredictingDeployment

    def __call__(self, outputs: Outputs) -> list[Reply]:
        """Returns the reply to the request of each row."""
        scores, metadata = self.deployment.postprocessor.scores(outputs).tolist(), self.deployment.reply_metadata
        return [Reply(encode({"predictions": [row]}), JSON, metadata) for row in scores]


@dataclass(frozen=True)
class PredictionReplies:
    """Makes replies that hold the prediction for one row each.

    Args:
        deployment: the one that ran.
    """

    deployment: PredictingDeployment

    def __call__(self, outputs: Outputs) -> list[Reply]:
        """Returns the reply to the request of each row."""
        predictions, metadata = self.deployment.postprocessor.predictions(outputs), self.deployment.reply_metadata
        return [Reply(encode(prediction), JSON, metadata) for prediction in predictions]


def score_reader(deployment: PredictingDeployment, key: str, most_bytes: float) -> RowReader | None:
    """Returns what reads a list of one row by a key; None where rows are no numbers, or the scores for one are many.

    Args:
        deployment: the one that requests are for.
        key: name of the list.
        most_bytes: largest size of a body that is read.
    """
    if not (takes_number_rows(deployment) and deployment.gives_little):
        return None
    return RowReader(deployment, partial(_scored_row, key, most_bytes, ScoreReplies(deployment)))


def prediction_reader(deployment: PredictingDeployment, most_bytes: float) -> RowReader | None:
    """Returns what reads one row by the name of the model's input; None where that needs to be parsed.

    Args:
        deployment: the one that requests are for.
        most_bytes: largest size of a body that is read.

    Raises:
        InputError: the model's declared shape leaves open whether a list of numbers is a row.
    """
    processor = deployment.processor
    if processor.row_keys or not (takes_number_rows(deployment) and deployment.gives_little):
        return None
    size = deployment.signature.inputs[0].shape[1]
    if processor.is_many([0.0] * size):
        return None
    replies = PredictionReplies(deployment)
    return RowReader(deployment, partial(_predicted_row, processor.input_name, size, most_bytes, replies))


def _scored_row(key: str, most_bytes: float, replies: ScoreReplies, body: bytes | bytearray) -> ReadRow | None:
    """Returns the row of numbers that a body of so many bytes at most holds."""
    rows = number_rows(body, key) if len(body) <= most_bytes else None
    return None if rows is None or len(rows) != 1 else (rows, replies)


def _predicted_row(
    name: str, size: int, most_bytes: float, replies: PredictionReplies, body: bytes | bytearray
) -> ReadRow | None:
    """Returns the row of so many numbers that a body of so many bytes at most holds."""
    row = number_row(body, name, size) if len(body) <= most_bytes else None
    return None if row is None else (row, replies)
