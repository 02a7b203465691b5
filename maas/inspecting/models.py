"""Which model learns from what, with which processor and settings: the parts of a recipe below its data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from maas.inspecting.description import ColumnDescription, DataDescription, FolderFiles
from maas.inspecting.target import TargetDescription

MOST_BOOSTED = 254
"""Of a column, the most frequent; scikit-learn's boosting takes no more, and the others are unknown to it."""
BLENDED_ROWS = (100, 20_000)
"""Between so many rows, a linear model helps boosting, and settings are chosen by folds; of more, its own do well."""
MOST_BLENDED_LABELS = 20
"""Of more labels, boosting in folds takes minutes: each costs a tree a stage."""
BLEND = "maas.importing.blending.Blended"

MANY_ROWS = 10_000
"""From so many rows on, text nets need few epochs."""
LARGEST_PICTURE = 96
"""Pixels of a side to which larger pictures are made smaller."""
SMALL_PICTURE = 32
"""Pixels of a side up to which a few convolutions see all of a picture."""
LONGEST_SOUND = 10.0

NO_TRAINING: Mapping[str, str | None] = dict.fromkeys(("objective", "optimizer", "schedule", "trainer"))
WITH_BLANKS = ("Latin", "Cyrillic", "Greek", "Arabic", "Hebrew", "Hangul")
"""Writings that put blanks between words."""


@dataclass(frozen=True)
class ModelChoice:
    """A model for data.

    Args:
        inputs: columns that it reads; none for folders.
        parts: part of each section; None leaves it out.
        settings: what is set, by section.
        reason: why this one; a sentence without its full stop.
        reads_one_text: whether a row is a text and nothing else.
        reads_text: whether a row holds a text.
    """

    inputs: tuple[str, ...]
    parts: Mapping[str, str | None]
    settings: Mapping[str, object] = field(default_factory=dict)
    reason: str = ""
    reads_one_text: bool = False
    reads_text: bool = False


def boosting_choice(
    data: DataDescription, target: TargetDescription, columns: Sequence[ColumnDescription]
) -> ModelChoice:
    """Returns gradient boosting on columns, as scikit-learn has it; of few rows, beside a linear model."""
    learner = "Regressor" if target.task == "regression" else "Classifier"
    is_few = BLENDED_ROWS[0] <= data.rows <= BLENDED_ROWS[1] and len(target.labels) <= MOST_BLENDED_LABELS
    estimator: dict[str, object] = {
        "_target_": f"{BLEND}{learner}" if is_few else f"sklearn.ensemble.HistGradientBoosting{learner}"
    }
    if target.is_unbalanced:
        estimator["class_weight"] = "balanced"
    estimator["random_state"] = "${seed}"
    boosting = "gradient boosting, which does best on most tables, and takes missing values as they are"
    blend = "gradient boosting beside a linear model, with settings and weights that do best in five folds"
    processor = _columns(columns)
    if any(column.distinct > MOST_BOOSTED for column in columns if column.kind == "category"):
        processor["max_categories"] = MOST_BOOSTED
    return ModelChoice(
        tuple(column.name for column in columns),
        {"processor": "tabular", "model": "estimator", **NO_TRAINING, "baseline": "boosting", "compress": "none"},
        {"processor": processor, "model": {"estimator": estimator}},
        blend if is_few else boosting,
    )


def combined_choice(
    data: DataDescription,
    target: TargetDescription,
    text: ColumnDescription,
    columns: Sequence[ColumnDescription],
) -> ModelChoice:
    """Returns a net over a text beside columns."""
    own = _columns(columns) | {"standardize": True}
    parts = {
        text.name: {"_target_": "maas.runtime.processors.text.TextProcessor", **_text_settings(text)},
        "columns" if text.name != "columns" else "others": {
            "_target_": "maas.runtime.processors.tabular.TabularProcessor",
            **own,
        },
    }
    net = {
        "processor": "combined",
        "model": "text_and_columns",
        **_objective(target),
        "optimizer": "adam",
        "schedule": "cosine",
        "baseline": "boosting",
    }
    settings: dict[str, object] = {
        "processor": {"parts": parts},
        **_weights(target),
        "optimizer": {"lr": 3e-3},
        "trainer": {"max_epochs": _epochs(data.rows, 40_000, 40)},
    }
    inputs = (text.name, *(column.name for column in columns))
    return ModelChoice(inputs, net, settings, "a net that reads the text beside the columns", reads_text=True)


def text_choice(data: DataDescription, target: TargetDescription, text: ColumnDescription) -> ModelChoice:
    """Returns a net over texts: n-grams beside convolutions."""
    settings: dict[str, object] = {
        "processor": _text_settings(text),
        **_weights(target, {"label_smoothing": 0.1} if target.task == "classification" else {}),
        "optimizer": {"lr": 1e-3},
        "schedule": {"warmup_fraction": 0.1},
        "trainer": {"max_epochs": _epochs(data.rows, 3 * MANY_ROWS, 20)},
    }
    tfidf: Mapping[str, str | None] = {"baseline": "tfidf"} if target.task == "classification" else {}
    if tfidf and text.script in WITH_BLANKS:
        settings["baseline"] = {"analyzer": "word"}
    net = {"processor": "text", "model": "wide_deep_text", **_objective(target), "optimizer": "adam"}
    return ModelChoice(
        (text.name,),
        {**net, "schedule": "cosine", **tfidf},
        settings,
        "n-grams beside convolutions, which do well on small and middling data in any language",
        reads_one_text=True,
        reads_text=True,
    )


def picture_choice(data: DataDescription, target: TargetDescription) -> ModelChoice:
    """Returns convolutions over pictures of one size."""
    files = data.files or FolderFiles({})
    largest = max(files.height, files.width)
    scale = min(1.0, LARGEST_PICTURE / largest)
    size = {"height": max(8, round(files.height * scale)), "width": max(8, round(files.width * scale))}
    is_small = largest <= SMALL_PICTURE
    pixels = {"mean": [0.5] * files.channels, "deviation": [0.25] * files.channels}
    settings: dict[str, object] = {
        "batch_size": 32,
        "processor": {**size, "channels": files.channels},
        "model": pixels,
        **_weights(target),
        "optimizer": {"lr": 3e-3},
        "schedule": {"warmup_fraction": 0.1},
        "trainer": {"max_epochs": _epochs(data.rows, 60_000, 40)},
    }
    parts = {"processor": "image", "model": "small_conv" if is_small else "resnet", "optimizer": "adam"}
    reason = "a few convolutions, for pictures this small" if is_small else "a small residual net"
    return ModelChoice((), {**parts, "schedule": "cosine"}, settings, reason)


def sound_choice(data: DataDescription, target: TargetDescription) -> ModelChoice:
    """Returns convolutions over spectrograms of sounds of one length."""
    files = data.files or FolderFiles({})
    settings: dict[str, object] = {
        "batch_size": 32,
        "processor": {"rate": files.rate, "seconds": min(LONGEST_SOUND, max(0.5, files.seconds))},
        **_weights(target, {"label_smoothing": 0.1}),
        "optimizer": {"lr": 2e-3},
        "trainer": {"max_epochs": _epochs(data.rows, 40_000, 40)},
    }
    parts = {"processor": "audio", "model": "keyword_cnn", "optimizer": "adamw"}
    return ModelChoice((), parts, settings, "convolutions over a spectrogram")


def _columns(columns: Sequence[ColumnDescription]) -> dict[str, object]:
    """Returns the settings of the tabular processor."""
    names = {
        "numbers": [column.name for column in columns if column.kind == "number"],
        "categories": [column.name for column in columns if column.kind == "category"],
        "dates": [column.name for column in columns if column.kind == "date"],
    }
    found: dict[str, object] = {kind: own for kind, own in names.items() if own}
    orders = {column.date_order for column in columns if column.kind == "date"} - {"ymd"}
    if orders:
        found["date_order"] = min(orders)
    return found


def _text_settings(text: ColumnDescription) -> dict[str, object]:
    """Returns words for writings that put blanks between them, and characters for others."""
    if text.script in WITH_BLANKS:
        return {"algorithm": "words", "vocabulary_size": 20_000, "max_tokens": 256, "keep": "ends"}
    return {"algorithm": "characters", "max_tokens": 512 if text.characters > 400 else 256, "keep": "ends"}


def _objective(target: TargetDescription) -> dict[str, str | None]:
    return {"objective": "mse"} if target.task == "regression" else {}


def _weights(target: TargetDescription, loss: Mapping[str, object] | None = None) -> dict[str, object]:
    """Returns how the loss weighs rare classes."""
    found = dict(loss or {}) | ({"class_weights": "balanced"} if target.is_unbalanced else {})
    return {"objective": {"loss": found}} if found else {}


def _epochs(rows: int, seen: int, most: int) -> int:
    """Returns how many epochs let a net see about so many rows; 3 at least."""
    return max(3, min(most, round(seen / max(1, rows))))
