"""What a dry run reports to the process that plans."""

import msgspec

from maas.planning.estimating import Watched

RECIPE, REPORT, REFUSAL = "recipe.yaml", "report.json", "refusal.txt"
"""What passes between the two processes, in the dry run's folder."""


class LaterStages(msgspec.Struct, frozen=True):
    """What comes after training.

    Args:
        bytes: of `model.onnx` as exported (`fp32`) and by each pass that can be applied.
        compress_s: seconds of the stage, but for what passes over checkpoints make.
        variants: checkpoints that they make at most.
        pipeline_epochs: epochs that these are trained for at most.
        export_s: seconds of the stage, the proof among them.
    """

    bytes: dict[str, int]
    compress_s: float
    variants: int
    pipeline_epochs: float
    export_s: float


class Report(msgspec.Struct, frozen=True):
    """What was timed and weighed.

    Args:
        seconds: of what is done once, by name: `imports`, `load`, `processor`, `doctor`, `fit`, `validated`,
            `checkpoint`.
        watched: the training loop; None where nothing is trained here.
        pretraining_s: of the pretraining that is left; None where it is not known.
        world: processes that will train together.
        rows: of each split.
        training_peak_bytes: memory up to the end of training.
        peak_bytes: memory of the whole, the exporter's process among it.
        weights_bytes: of the checkpoint.
        later: what comes after training.
    """

    seconds: dict[str, float]
    watched: Watched | None
    pretraining_s: float | None
    world: int
    rows: dict[str, int]
    training_peak_bytes: int
    peak_bytes: int
    weights_bytes: int
    later: LaterStages
