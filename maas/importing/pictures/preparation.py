"""How a pretrained model takes pictures, from its `preprocessor_config.json`: size, cut, filter, mean and deviation.

What a processor does to a picture (size, cut, filter) and what a net does to pixels (mean, deviation) are read from one
file. No image processor of transformers is built, and no torchvision is needed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

from PIL import Image

from maas.errors import ConfigError, one_line
from maas.runtime.places import local_place
from maas.runtime.processors.image import ImageProcessor

try:
    from huggingface_hub import hf_hub_download
except ImportError as error:
    raise ImportError(
        "huggingface_hub is not installed. In a checkout of maas: pip install '.[huggingface]'"
    ) from error

PREPROCESSOR_FILE = "preprocessor_config.json"
BILINEAR = Image.Resampling.BILINEAR
LARGE_ENOUGH = 384
"""Pixels a side from which on ConvNeXT-like models stretch a picture instead of cutting its centre."""
LARGEST_PIXEL = 255.0

Settings: TypeAlias = Mapping[str, Any]
Resampling: TypeAlias = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]


@dataclass(frozen=True)
class PicturePreparation:
    """What is done to a picture before a pretrained model sees it.

    Args:
        height: H.
        width: W.
        shorter_side: pixels that the shorter side is scaled to before the centre is cut out; None where the picture is
            stretched to H × W.
        resampling: Pillow's filter.
        mean: of the pixels in [0, 1], one a channel.
        deviation: likewise.
    """

    height: int
    width: int
    shorter_side: int | None
    resampling: Resampling
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


def pretrained_image_processor(pretrained: str | None) -> ImageProcessor:
    """Returns what makes of a picture the pixels that a pretrained model was trained on; no weights are read.

    Args:
        pretrained: a folder, `package:path` inside an installed package, or a hub id; that of the recipe's model unless
            the recipe says otherwise.

    Raises:
        ConfigError: nothing is named, or there is no preprocessor_config.json that can be read.

    Example:
        >>> pretrained_image_processor("OWNER/NAME").height  # doctest: +SKIP
        224
    """
    if pretrained is None:
        raise ConfigError(
            "processor.pretrained is missing. Set it, or model.pretrained, to a folder, package:path, or a hub id."
        )
    found = preparation_of(pretrained)
    return ImageProcessor(
        found.height,
        found.width,
        channels=1 if len(found.mean) == 1 else 3,
        resize="stretch" if found.shorter_side is None else "cover",
        resampling=found.resampling,
        shorter_side=found.shorter_side,
    )


@lru_cache(maxsize=8)
def preparation_of(pretrained: str) -> PicturePreparation:
    """Returns how a pretrained model takes pictures.

    Args:
        pretrained: a folder, `package:path` inside an installed package, or a hub id.

    Raises:
        ConfigError: there is no such file, or it says nothing of the size.
    """
    settings = _settings_at(pretrained)
    try:
        height, width, shorter_side = _sizes(settings)
        mean, deviation = _scaling(settings)
        name = Image.Resampling(int(settings.get("resample", BILINEAR))).name.lower()
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"The {PREPROCESSOR_FILE} of {pretrained} cannot be read: {one_line(error)}. Set processor=image with "
            "processor.height and processor.width, and model.mean and model.deviation."
        ) from error
    return PicturePreparation(height, width, shorter_side, name, mean, deviation)  # type: ignore[arg-type]


def _settings_at(pretrained: str) -> Settings:
    path = local_place(pretrained)
    try:
        file = path / PREPROCESSOR_FILE if path else Path(hf_hub_download(pretrained, PREPROCESSOR_FILE))
        settings: Settings = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # of files, JSON and the hub's client
        raise ConfigError(
            f"{pretrained} has no {PREPROCESSOR_FILE} that can be read: {one_line(error)}. Save one beside the model, "
            "or set processor=image with processor.height and processor.width, and model.mean and model.deviation."
        ) from error
    return settings


def _sizes(settings: Settings) -> tuple[int, int, int | None]:
    """Returns H, W, and what the shorter side is scaled to before the centre is cut out; None where nothing is cut."""
    size, cut = settings["size"], bool(settings.get("do_center_crop"))
    if isinstance(size, int):  # as files were written before transformers 4.26
        size = {"shortest_edge": size} if cut or "crop_pct" in settings else {"height": size, "width": size}
    if "shortest_edge" not in size:
        return int(size["height"]), int(size["width"]), None
    shorter = int(size["shortest_edge"])
    if settings.get("crop_pct") is not None:  # ConvNeXT and those that follow it
        return shorter, shorter, int(shorter / settings["crop_pct"]) if shorter < LARGE_ENOUGH else None
    kept = settings.get("crop_size", shorter) if cut else shorter
    height, width = (kept, kept) if isinstance(kept, int) else (kept["height"], kept["width"])
    return int(height), int(width), shorter


def _scaling(settings: Settings) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns mean and deviation of pixels in [0, 1]."""
    factor = float(settings.get("rescale_factor", 1 / LARGEST_PIXEL)) if settings.get("do_rescale", True) else 1.0
    mean, deviation = [0.0] * 3, [1.0] * 3
    if settings.get("do_normalize", True):
        mean, deviation = settings["image_mean"], settings["image_std"]
    scale = 1.0 if abs(factor * LARGEST_PIXEL - 1) < 1e-9 else factor * LARGEST_PIXEL
    return _each(mean, scale), _each(deviation, scale)


def _each(values: Sequence[float], scale: float) -> tuple[float, ...]:
    return tuple(float(value) / scale for value in values)
