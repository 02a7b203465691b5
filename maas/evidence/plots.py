"""Pictures of a run, as PNG files."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter
from numpy.typing import NDArray

from maas.records.evidence import RobustnessCurve
from maas.scoring.names import is_loss, monitored

mpl.rcParams["font.sans-serif"] = ["Noto Sans CJK SC", "WenQuanYi Zen Hei", "SimHei", "DejaVu Sans"]
mpl.rcParams["axes.unicode_minus"] = False
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # a font of another weight will do


def learning_curve(history: Sequence[dict[str, float]], best_epoch: int, metric: str, path: Path) -> Path:
    """Draws loss and metric over the epochs; the epoch whose weights are kept is marked.

    Args:
        history: logged values, an entry each epoch.
        best_epoch: from 0.
        metric: the metric's name.
        path: the PNG to write.
    """
    epochs = range(1, len(history) + 1)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, style in (("train_loss", "o-"), ("validation_loss", "s-")):
        left.plot(epochs, [entry.get(name, float("nan")) for entry in history], style, label=name.replace("_", " "))
    left.set(xlabel="epoch", ylabel="loss")
    left.legend()
    values = [entry.get(monitored(metric), float("nan")) for entry in history]
    right.plot(epochs, values, "s-", color="tab:orange")
    right.axvline(best_epoch + 1, color="grey", linestyle=":", label=f"kept: epoch {best_epoch + 1}")
    right.set(xlabel="epoch", ylabel=f"validation {metric}")
    right.legend()
    for axes in (left, right):
        cast("MaxNLocator", axes.xaxis.get_major_locator()).set_params(integer=True)
    return saved(figure, path)


def confusion_picture(confusion: NDArray[Any], labels: Sequence[str], title: str, path: Path) -> Path:
    """Draws a confusion matrix; each cell holds its count, its colour the fraction of the row.

    Args:
        confusion: counts (K, K), targets × predictions.
        labels: K names.
        title: above the picture.
        path: the PNG to write.
    """
    size = max(4.0, 0.55 * len(labels) + 2)
    figure = Figure(figsize=(size + 0.8, size), layout="constrained")
    axes = figure.subplots()
    fractions = confusion / confusion.sum(axis=1, keepdims=True).clip(min=1)
    image = axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    axes.set_xticks(range(len(labels)), labels, rotation=45 if len(labels) > 3 else 0)
    axes.set_yticks(range(len(labels)), labels)
    if len(labels) <= 25:
        for row in range(len(labels)):
            for column in range(len(labels)):
                shade = "white" if fractions[row, column] > 0.5 else "black"
                axes.text(column, row, str(confusion[row, column]), ha="center", va="center", color=shade)
    figure.colorbar(image, ax=axes, label="fraction of the true class", shrink=0.8)
    return saved(figure, path)


def robustness_picture(curves: Sequence[RobustnessCurve], path: Path) -> Path:
    """Draws the metric over the strength of each perturbation, its interval as a band; a dotted line is where it began.

    Args:
        curves: one or more, all of one metric.
        path: the PNG to write.
    """
    figure = Figure(figsize=(4.2 * len(curves), 3.4), layout="constrained")
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for axes, curve in zip(panels, curves, strict=True):
        clean = curve.values[curve.strengths.index(0)].value
        axes.axhline(clean, color="grey", linestyle=":", zorder=1)
        lows, highs = [one.low for one in curve.values], [one.high for one in curve.values]
        axes.fill_between(curve.strengths, lows, highs, color="tab:blue", alpha=0.2, linewidth=0)
        axes.plot(curve.strengths, [one.value for one in curve.values], "o-", color="tab:blue")
        axes.set(title=curve.name, xlabel=curve.unit)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel(f"{curves[0].metric}, {curves[0].rows} rows")
    return saved(figure, path)


@dataclass(frozen=True)
class SweptKey:
    """One key of a sweep and its value in each trial.

    Args:
        name: of the key.
        values: as overrides write them.
        is_number: whether they lie on an axis; otherwise each has a place of its own.
        is_log: whether that axis is logarithmic.
    """

    name: str
    values: Sequence[str]
    is_number: bool
    is_log: bool


def sweep_picture(
    values: Sequence[float | None], keys: Sequence[SweptKey], metric: str, title: str, path: Path
) -> Path:
    """Draws the metric by trial with the best so far, and against each swept key; the best trial is marked.

    Args:
        values: of the metric, an entry each trial; None for a failed one.
        keys: that were swept.
        metric: the metric's name.
        title: above the picture.
        path: the PNG to write.
    """
    columns = 2 if 1 + len(keys) == 4 else min(3, 1 + len(keys))
    rows = -(-(1 + len(keys)) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.4 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    found = np.array([np.nan if value is None else value for value in values], dtype=float)
    is_smaller_better = is_loss(metric)
    _draw_trials(panels[0], found, is_smaller_better)
    for axes, key in zip(panels[1:], keys, strict=False):
        _draw_key(axes, key, found, is_smaller_better)
    for axes in panels[1 + len(keys) :]:
        axes.set_visible(False)
    for axes in panels[: 1 + len(keys)]:
        axes.grid(alpha=0.3)
    for axes in panels[::columns]:
        axes.set_ylabel(f"validation {metric}")
    figure.suptitle(title)
    return saved(figure, path)


def _draw_trials(axes: Axes, found: NDArray[np.float64], is_smaller_better: bool) -> None:
    numbers = np.arange(1, len(found) + 1)
    best = (np.fmin if is_smaller_better else np.fmax).accumulate(found)
    axes.step(numbers, best, where="post", color="tab:orange", label="best so far")
    _draw_points(axes, numbers, found, is_smaller_better)
    for number in numbers[np.isnan(found)]:
        axes.axvline(number, color="tab:red", linestyle=":", linewidth=1)
    if np.isnan(found).any():
        axes.plot([], [], color="tab:red", linestyle=":", label="failed")
    axes.set_xlabel("trial")
    cast("MaxNLocator", axes.xaxis.get_major_locator()).set_params(integer=True)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)


def _draw_key(axes: Axes, key: SweptKey, found: NDArray[np.float64], is_smaller_better: bool) -> None:
    axes.set_xlabel(key.name)
    if key.is_number:
        _draw_points(axes, np.array([float(value) for value in key.values]), found, is_smaller_better)
        if key.is_log:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")  # powers would need a mathematical font
            axes.xaxis.set_minor_formatter(NullFormatter())
        return
    names = sorted(set(key.values), key=lambda name: (len(name), name))
    _draw_points(axes, np.array([names.index(value) for value in key.values]), found, is_smaller_better)
    axes.set_xticks(range(len(names)), names, rotation=30 if sum(map(len, names)) > 30 else 0)
    axes.set_xlim(-0.5, len(names) - 0.5)


def _draw_points(axes: Axes, places: NDArray[Any], found: NDArray[np.float64], is_smaller_better: bool) -> None:
    axes.scatter(places, found, color="tab:blue", s=28, alpha=0.7, zorder=3)
    if not np.isnan(found).all():
        best = int((np.nanargmin if is_smaller_better else np.nanargmax)(found))
        axes.scatter(places[best], found[best], color="tab:orange", edgecolor="black", marker="*", s=170, zorder=4)


def saved(figure: Figure, path: Path) -> Path:
    """Writes a picture so that the same numbers give the same bytes."""
    figure.savefig(path, dpi=120, metadata={"Software": None})
    return path
