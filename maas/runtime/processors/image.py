"""Images to 8-bit pixels of one size. Scaling and normalising are held in the graph."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from maas.bounds import Count
from maas.errors import ConfigError, InputError
from maas.records.signature import TensorSpec
from maas.runtime.codec import Features
from maas.runtime.contents import content_of, row_name
from maas.runtime.image_files import ORIENTATION, declared_pixels, read_image
from maas.runtime.images import MAX_PIXELS, flattened, require_picture_size, upright
from maas.runtime.pixels import pixels_of
from maas.runtime.processors.base import Array, SingleArrayProcessor, nesting

CHANNELS = (1, 3, 4)
PICTURE_FORMS = (
    "an image: the bytes of a file or their base64 text, a path, or pixels as an array of uint8, (H, W) or (H, W, C)"
)


class ImageProcessor(SingleArrayProcessor):
    """Decodes, turns upright, converts to grey or colour and resizes.

    A row is a JPEG, PNG, WebP, BMP or GIF file (its bytes, their base64 text, a data: URL, or a `pathlib.Path`), an
    array of whole numbers from 0 to 255, (H, W), (H, W, 1), (H, W, 3) or with alpha (H, W, 4), or a Pillow image. How
    they become 8-bit pixels is written at `maas.runtime.images.flattened`; transparency lies over white. Pixels of
    the model's height, width and channels pass unchanged.

    Args:
        height: H.
        width: W.
        channels: 1 (grey) or 3 (red, green, blue).
        resize: `stretch` changes the aspect; `cover` scales the shorter side and crops the centre; `fit` scales the
            longer side and centres the image on black.
        resampling: Pillow's filter, antialiased when it makes smaller.
        shorter_side: with `cover`, pixels that the shorter side is scaled to before the centre is cut out of whole
            pixels, as published nets were evaluated (256 before 224); null scales and cuts in one step.

    Raises:
        ConfigError: the model's images have more pixels than are read, or the shorter side has fewer than they.
    """

    kind: ClassVar[str] = "image"
    modality: ClassVar[str] = "image"
    input_name: ClassVar[str] = "image"
    feature: ClassVar[str] = "pixels"
    media_types: ClassVar[tuple[str, ...]] = ("image/png", "image/jpeg", "image/webp", "application/octet-stream")

    def __init__(
        self,
        height: Count,
        width: Count,
        channels: Literal[1, 3] = 3,
        resize: Literal["stretch", "cover", "fit"] = "stretch",
        resampling: Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"] = "bilinear",
        shorter_side: Count | None = None,
    ) -> None:
        if height * width > MAX_PIXELS:
            raise ConfigError(
                f"processor.height × processor.width is {height} × {width}; at most {MAX_PIXELS // 10**6} million are "
                "read. Set e.g. processor.height=224 processor.width=224."
            )
        if shorter_side is not None and (resize != "cover" or shorter_side < max(height, width)):
            raise ConfigError(
                f"processor.shorter_side is {shorter_side}, processor.resize {resize}; {height} × {width} pixels are "
                f"cut out of a picture that covers them. Set processor.resize=cover and at least {max(height, width)}."
            )
        self.height = height
        self.width = width
        self.channels = channels
        self.resize = resize
        self.resampling = resampling
        self.shorter_side = shorter_side
        self._shape = (height, width, channels)
        self._mode: Literal["L", "RGB"] = "L" if channels == 1 else "RGB"
        self._filter = Image.Resampling[resampling.upper()]

    def arrays(self, rows: Sequence[Any]) -> list[Array]:
        """Returns uint8 arrays (H, W, C), one a row."""
        return [self._preprocessed(row, index) for index, row in enumerate(rows)]

    def _preprocessed(self, row: object, index: int) -> Array:
        try:
            return self._pixels(row)
        except InputError as error:
            raise InputError(f"{row_name(row, index)} {error}") from error

    def pixels_to_decode(self, row: object) -> int:
        """Returns how many pixels a file declares; 0 for what is no file."""
        try:
            return declared_pixels(content_of(row, PICTURE_FORMS)) if isinstance(row, bytes | bytearray | str) else 0
        except InputError:  # preprocessing names the row
            return 0

    def _pixels(self, row: object) -> Array:
        if isinstance(row, np.ndarray | list | tuple):
            array = pixels_of(row)
            if self._shape in (array.shape, (*array.shape, 1)):
                return array.reshape(self._shape)
            return self._shaped(Image.fromarray(array[:, :, 0] if array.shape[2:] == (1,) else array))
        return self._shaped(
            _image(row) if isinstance(row, Image.Image) else read_image(content_of(row, PICTURE_FORMS), self.max_pixels)
        )

    def _shaped(self, image: Image.Image) -> Array:
        return np.asarray(self._resized(flattened(image, self._mode))).reshape(self._shape)

    def _resized(self, image: Image.Image) -> Image.Image:
        size = (self.width, self.height)
        if self.resize == "stretch":
            return image.resize(size, self._filter)
        if self.shorter_side is not None:
            return self._cut(image, self.shorter_side)
        if self.resize == "cover":
            return ImageOps.fit(image, size, self._filter)
        scale = min(self.width / image.width, self.height / image.height)
        width, height = (
            max(1, round(side * scale)) for side in image.size
        )  # a line stays a line; ImageOps.pad drops it
        black = Image.new(image.mode, size)
        corner = (round((self.width - width) / 2), round((self.height - height) / 2))
        black.paste(image.resize((width, height), self._filter), corner)
        return black

    def _cut(self, image: Image.Image, shorter_side: int) -> Image.Image:
        """Scales the shorter side and cuts the centre out; of a very long picture the rest is not made."""
        shorter = min(image.size)
        width, height = (shorter_side if side == shorter else int(shorter_side * side / shorter) for side in image.size)
        left, top = (width - self.width) // 2, (height - self.height) // 2
        right, bottom = left + self.width, top + self.height
        if width * height <= MAX_PIXELS:
            return image.resize((width, height), self._filter).crop((left, top, right, bottom))
        across, down = image.width / width, image.height / height
        box = (left * across, top * down, min(right * across, image.width), min(bottom * down, image.height))
        return image.resize((self.width, self.height), self._filter, box=box)

    def batch(self, features: Sequence[Features]) -> dict[str, NDArray[Any]]:
        """Returns `{"pixels": uint8 (N, H, W, C)}`."""
        return {"pixels": self.joined(features)}

    @property
    def input_specs(self) -> tuple[TensorSpec, ...]:
        """UINT8, (N, H, W, C)."""
        return (TensorSpec("image", "UINT8", (-1, *self._shape)),)

    @property
    def row_schema(self) -> dict[str, Any]:
        """A file as base64 text, or pixels as nested lists: [H, W] or [H, W, C]."""
        value = {"type": "integer", "minimum": 0, "maximum": 255}
        pixel = {"type": "array", "items": value, "minItems": 1, "maxItems": 4}
        file = {"type": "string", "contentEncoding": "base64", "description": "a JPEG, PNG, WebP, BMP or GIF file"}
        grey, channels = ({"type": "array", "items": {"type": "array", "items": one}} for one in (value, pixel))
        return {
            "anyOf": [
                file,
                {**grey, "description": "[H, W]: grey"},
                {**channels, "description": "[H, W, C]: C is 1 (grey), 3 (colour) or 4 (colour and alpha)"},
            ]
        }

    @property
    def rows_rule(self) -> str:
        """By depth; three deep, by the model's own height and width."""
        both, neither = ("several", "refused, but for C of 1") if self.channels == 1 else ("one input", "one input")
        return (
            "A file or lists two deep, [H, W], are one input; a list of files or lists four deep, [N, H, W, C], are "
            "several. Three deep they are several, [N, H, W], unless the innermost hold 1, 3 or 4 numbers: then they "
            f"are [N, H, W] or [H, W, C], whichever has the model's own H × W, {self.height} × {self.width}; where "
            f"both have it they are {both}, and where neither has, {neither}."
        )

    def is_many(self, value: Any) -> bool:
        """Decides by depth; three deep, by the model's own height and width, as `rows_rule` says.

        Raises:
            InputError: it may be grey pictures or one with channels, and neither has the size of a model of grey ones.
        """
        depth = nesting(value)
        if depth == 1:
            return not value or isinstance(value[0], str)
        if depth == 3 and all(isinstance(one, list) for one in value):
            return self._is_several_grey(len(value), len(value[0]), len(value[0][0]))
        return depth >= 3

    def _is_several_grey(self, *sizes: int) -> bool:
        """Returns whether lists of these sizes are (N, H, W) rather than (H, W, C)."""
        own = (self.height, self.width)
        are_grey, is_one = sizes[1:] == own, sizes[:2] == own
        if sizes[2] not in CHANNELS:
            return True
        if are_grey != is_one:
            return are_grey
        if are_grey:
            return self.channels == 1
        if sizes[2] == 1 or self.channels == 3:
            return False
        first, second, third = sizes
        raise InputError(
            f"Lists of {first} × {second} × {third} may be {first} grey pictures or one of {third} channels; the model "
            f"takes grey ones of {self.height} × {self.width}. Send a list of [H, W, C], with C of 1 for grey."
        )

    @property
    def dynamic_axes(self) -> dict[str, dict[int, str]]:
        """The batch."""
        return {"pixels": {0: "batch"}}

    @property
    def net_arguments(self) -> dict[str, Any]:
        """The size of an image, as `in_channels`, `height` and `width`."""
        return {"in_channels": self.channels, "height": self.height, "width": self.width}

    def settings(self) -> dict[str, Any]:
        """All arguments; `shorter_side` where it is set, so that an older runtime opens what does without."""
        shorter = {} if self.shorter_side is None else {"shorter_side": self.shorter_side}
        return {
            **shorter,
            "height": self.height,
            "width": self.width,
            "channels": self.channels,
            "resize": self.resize,
            "resampling": self.resampling,
        }

    def save(self, folder: Path) -> None:
        """Writes nothing: the settings are all there is."""

    @classmethod
    def load(cls, settings: Mapping[str, Any], folder: Path) -> Self:
        """Rebuilds it from the settings alone."""
        return cls(**settings)


def _image(image: Image.Image) -> Image.Image:
    require_picture_size(image.width, image.height, MAX_PIXELS, "Pillow")
    try:
        image.load()
    except Exception as error:  # Pillow's readers raise whatever their parsers do
        raise InputError(f"is a Pillow image that cannot be read: {error}.") from error
    return upright(image, _orientation(image))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - EXIF that cannot be read says nothing, as in any viewer
        return 1
