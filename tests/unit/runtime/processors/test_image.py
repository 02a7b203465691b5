"""Images of every format, mode and orientation: their pixels against numpy and against Pillow's own answers."""

import base64
import io
import re
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image, ImageOps

from maas.errors import InputError
from maas.runtime.contents import MAX_FILE_BYTES
from maas.runtime.image_files import HALVED_PIXELS
from maas.runtime.processors.image import ImageProcessor

H, W = 14, 20
EXACT = {"PNG": {}, "BMP": {}, "WEBP": {"lossless": True}}
LOSSY = {"JPEG": {"quality": 80}, "WEBP": {"quality": 60}}
UPRIGHT = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: np.rot90(stored, 1),
}
"""Exif 2.32, section 4.6.4: from the stored pixels to what a viewer shows."""


def colours(height: int = H, width: int = W, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (height, width, channels), dtype=np.uint8)


def grey(height: int = H, width: int = W) -> np.ndarray:
    return colours(height, width, 1)[:, :, 0]


def saved(image: Image.Image | np.ndarray, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(row: object, channels: int = 3, height: int = H, width: int = W, **settings) -> np.ndarray:
    (found,) = ImageProcessor(height, width, channels, **settings).arrays([row])
    assert found.dtype == np.uint8
    assert found.shape == (height, width, channels)
    return found


def luma(rgb: np.ndarray) -> np.ndarray:
    red, green, blue = np.moveaxis(rgb.astype(np.int64), -1, 0)
    return ((19595 * red + 38470 * green + 7471 * blue + 2**15) >> 16).astype(np.uint8)


def over_white(values: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    shares = alpha[:, :, None].astype(np.float64) / 255
    return np.floor(values * shares + 255 * (1 - shares) + 0.5).astype(np.uint8)


def png(header: bytes, lines: bytes) -> bytes:
    """Returns a PNG of an IHDR and its raw lines, each with its filter byte."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("kind", EXACT)
def test_pixels_are_the_arrays_own_when_a_lossless_file_has_the_models_size(kind):
    np.testing.assert_array_equal(pixels(saved(colours(), kind, **EXACT[kind])), colours())


@pytest.mark.parametrize("kind", LOSSY)
def test_pixels_are_pillows_when_a_lossy_file_has_the_models_size(kind):
    content = saved(colours(), kind, **LOSSY[kind])
    np.testing.assert_array_equal(pixels(content), np.asarray(Image.open(io.BytesIO(content))))


def test_row_is_one_image_when_it_comes_in_any_form(tmp_path):
    content = saved(colours())
    (tmp_path / "image.any").write_bytes(content)
    text = base64.b64encode(content).decode()
    forms = [
        content,
        bytearray(content),
        memoryview(content),
        text,
        base64.encodebytes(content).decode(),
        f"data:image/png;base64,{text}",
        f"data:image/png;name=a.png;base64,{text}",
        tmp_path / "image.any",
        colours(),
        colours().astype(np.int64),
        colours().tolist(),
        tuple(colours().tolist()),
        Image.fromarray(colours()),
        Image.open(io.BytesIO(content)),
    ]
    for row, found in zip(forms, ImageProcessor(H, W).arrays(forms), strict=True):
        np.testing.assert_array_equal(found, colours(), err_msg=str(type(row)))


@pytest.mark.parametrize("channels", [1, 3])
def test_array_passes_unchanged_when_it_has_the_models_shape(channels):
    array = colours(channels=channels)
    np.testing.assert_array_equal(pixels(array, channels), array)
    if channels == 1:
        np.testing.assert_array_equal(pixels(array[:, :, 0], 1), array)
        np.testing.assert_array_equal(pixels(array[:, :, 0].tolist(), 1), array)


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {}), ("PNG", {}), ("WEBP", {"lossless": True})])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_image_is_upright_when_its_exif_says_how_it_was_taken(kind, options, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = saved(colours(), kind, exif=exif, **options)
    expected = UPRIGHT[orientation](np.asarray(Image.open(io.BytesIO(content)).convert("RGB")))
    height, width = expected.shape[:2]
    np.testing.assert_array_equal(pixels(content, height=height, width=width), expected)
    opened = pixels(Image.open(io.BytesIO(content)), height=height, width=width)
    np.testing.assert_array_equal(opened, expected)


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0MM\0*\0\0\xff\xff", b"Exif\0\0" + bytes(40), b"\xff" * 60])
def test_image_stays_as_it_is_when_its_exif_cannot_be_read(exif):
    np.testing.assert_array_equal(pixels(saved(colours(), "JPEG", exif=exif)), pixels(saved(colours(), "JPEG")))


@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_is_found_when_exif_has_either_byte_order(order):
    tiff = struct.pack(f"{order}2s2HI", b"II" if order == "<" else b"MM", 42, 0, 0)[:4] + struct.pack(f"{order}I", 8)
    entries = struct.pack(f"{order}H2HI4s2HIHH", 2, 0x010F, 2, 4, b"Sony", 0x0112, 3, 1, 6, 0)
    found = pixels(saved(colours(), exif=b"Exif\0\0" + tiff + entries), height=W, width=H)
    np.testing.assert_array_equal(found, UPRIGHT[6](colours()))


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_image_stays_as_it_is_when_its_orientation_is_unknown(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(pixels(saved(colours(), exif=exif)), colours())


def test_grey_is_repeated_when_the_model_takes_colour():
    np.testing.assert_array_equal(pixels(grey()), np.repeat(grey()[:, :, None], 3, axis=2))
    np.testing.assert_array_equal(pixels(saved(grey())), np.repeat(grey()[:, :, None], 3, axis=2))


def test_colour_becomes_luma_when_the_model_takes_grey():
    for row in (colours(), saved(colours()), Image.fromarray(colours())):
        np.testing.assert_array_equal(pixels(row, 1)[:, :, 0], luma(colours()))


def test_one_bit_pixels_are_black_and_white_when_decoded():
    bits = grey() > 127
    for row in (saved(Image.fromarray(bits)), saved(Image.fromarray(bits), "BMP"), Image.fromarray(bits)):
        np.testing.assert_array_equal(pixels(row, 1)[:, :, 0], np.where(bits, 255, 0))


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP"])
def test_palette_is_looked_up_when_a_file_has_one(kind):
    palette = np.random.default_rng(1).integers(0, 256, (256, 3), dtype=np.uint8)
    image = Image.fromarray(grey())
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette(palette.tobytes())
    np.testing.assert_array_equal(pixels(saved(image, kind)), palette[grey()])
    np.testing.assert_array_equal(pixels(saved(image, kind), 1)[:, :, 0], luma(palette[grey()]))


def test_transparency_lies_over_white_when_an_image_has_some():
    rgba = colours(channels=4)
    expected = over_white(rgba[:, :, :3], rgba[:, :, 3])
    for row in (
        rgba,
        rgba.tolist(),
        saved(rgba),
        saved(rgba, "WEBP", lossless=True, exact=True),
        Image.fromarray(rgba),
    ):
        np.testing.assert_array_equal(pixels(row), expected)
        np.testing.assert_array_equal(pixels(row, 1)[:, :, 0], luma(expected))


def test_transparency_lies_over_white_when_grey_has_some():
    values, alpha = grey(), grey()[::-1].copy()
    image = Image.merge("LA", (Image.fromarray(values), Image.fromarray(alpha)))
    np.testing.assert_array_equal(pixels(saved(image), 1), over_white(values[:, :, None], alpha))


def test_transparency_lies_over_white_when_a_palette_has_some():
    palette = np.random.default_rng(1).integers(0, 256, (256, 3), dtype=np.uint8)
    alphas = np.random.default_rng(2).integers(0, 256, 256, dtype=np.uint8)
    image = Image.frombytes("P", (W, H), grey().tobytes())
    image.putpalette(palette.tobytes())
    content = saved(image, transparency=alphas.tobytes())
    np.testing.assert_array_equal(pixels(content), over_white(palette[grey()], alphas[grey()]))
    clear = saved(image, "GIF", transparency=int(grey()[0, 0]))
    found = pixels(clear)
    np.testing.assert_array_equal(found, np.where(grey()[:, :, None] == grey()[0, 0], 255, palette[grey()]))


@pytest.mark.parametrize("channels", [1, 3])
def test_one_value_is_white_when_a_file_calls_it_transparent(channels):
    values = colours(channels=channels)
    key = tuple(map(int, values[0, 0])) if channels == 3 else int(values[0, 0, 0])
    content = saved(values if channels == 3 else values[:, :, 0], transparency=key)
    clear = (values == values[0, 0]).all(axis=2, keepdims=True)
    np.testing.assert_array_equal(pixels(content, channels), np.where(clear, 255, values))


def test_high_byte_is_kept_when_a_file_has_16_bits():
    deep = np.random.default_rng(3).integers(0, 2**16, (H, W), dtype=np.uint16)
    np.testing.assert_array_equal(pixels(saved(deep), 1)[:, :, 0], deep >> 8)
    np.testing.assert_array_equal(pixels(saved(deep))[:, :, 2], deep >> 8)
    np.testing.assert_array_equal(pixels(Image.fromarray(deep), 1)[:, :, 0], deep >> 8)


def test_high_byte_is_kept_when_a_colour_file_has_16_bits():
    deep = np.random.default_rng(4).integers(0, 2**16, (H, W, 3), dtype=np.uint16)
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in deep)
    np.testing.assert_array_equal(pixels(png(struct.pack(">2I5B", W, H, 16, 2, 0, 0, 0), lines)), deep >> 8)


def keyed_png(values: np.ndarray, bits: int, key: list[int]) -> bytes:
    """Returns a PNG of whole numbers below 2 ** bits, (H, W) or (H, W, 3), and one of them that is transparent."""
    lines = []
    for line in values.reshape(len(values), -1):
        spread = (line[:, None] >> np.arange(bits)[::-1] & 1).astype(np.uint8)  # most significant bit first
        lines.append(b"\0" + np.packbits(spread).tobytes())
    kind = 2 if values.ndim == 3 else 0
    header = struct.pack(">2I5B", values.shape[1], values.shape[0], bits, kind, 0, 0, 0)
    data = b"tRNS" + struct.pack(f">{len(key)}H", *key)
    chunk = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    content = png(header, b"".join(lines))
    return content[:33] + chunk + content[33:]


@pytest.mark.parametrize(
    ("shape", "bits"), [*(((H, W), bits) for bits in (1, 2, 4, 8, 16)), ((H, W, 3), 8), ((H, W, 3), 16)]
)
@pytest.mark.parametrize("surplus", [0, 1])
def test_one_value_is_white_when_a_png_of_any_depth_calls_it_transparent(shape, bits, surplus):
    """Of a transparent value only as many bits count as a pixel has."""
    values = np.random.default_rng(bits).integers(0, 2**bits, shape)
    values[1, :4] = values[0, 0]
    values[2, 0] = values[0, 0] ^ 1  # nearly the same: of 16 bits, only the low byte differs
    key = np.atleast_1d(values[0, 0])
    found = pixels(keyed_png(values, bits, (key + surplus * (2**bits & 0xFFFF)).tolist()))
    eight = values >> 8 if bits == 16 else values * (255 // (2**bits - 1))
    clear = (values.reshape(H, W, -1) == key).all(axis=2, keepdims=True)
    assert clear[1, :4].all()
    assert not clear[2, 0]
    np.testing.assert_array_equal(found, np.where(clear, 255, eight.reshape(H, W, -1) + np.zeros(3, int)))


def test_transparent_grey_of_16_bits_is_white_when_pillow_has_opened_the_file():
    deep = np.random.default_rng(3).integers(0, 2**16, (H, W), dtype=np.uint16)
    key = int(deep[4, 5])
    image = Image.open(io.BytesIO(keyed_png(deep.astype(int), 16, [key])))
    np.testing.assert_array_equal(pixels(image, 1)[:, :, 0], np.where(deep == key, 255, deep >> 8))


def test_transparent_colour_is_refused_when_pillow_has_dropped_half_of_its_bits():
    image = Image.open(io.BytesIO(keyed_png(np.full((H, W, 3), 700), 16, [700, 700, 700])))
    message = r"is an image of 8 bits whose transparent colour \(700, 700, 700\) has 16; send the file"
    with pytest.raises(InputError, match=message):
        pixels(image)


def test_inks_become_colours_when_an_image_is_cmyk():
    inks = colours(channels=4)
    cyan_to_yellow, free = inks[:, :, :3].astype(np.int64), 255 - inks[:, :, 3:].astype(np.int64)
    expected = np.clip(free - np.floor(cyan_to_yellow * free / 255 + 0.5), 0, 255)
    np.testing.assert_array_equal(pixels(Image.fromarray(inks, "CMYK")), expected)
    content = saved(Image.fromarray(inks, "CMYK"), "JPEG")
    decoded = np.asarray(Image.open(io.BytesIO(content)))
    np.testing.assert_array_equal(pixels(content), pixels(Image.fromarray(decoded, "CMYK")))


def test_conversion_is_the_same_when_an_image_is_taller_than_a_strip():
    rgba = colours(150, 9, 4)
    expected = over_white(rgba[:, :, :3], rgba[:, :, 3])
    np.testing.assert_array_equal(pixels(saved(rgba), height=150, width=9), expected)


@pytest.mark.parametrize("mode", ["I", "F", "LAB"])
def test_mode_is_named_when_it_is_not_8_bit_pixels(mode):
    message = f"Row 0 is an image of mode {mode}, which is not 8-bit pixels; send mode L or RGB."
    with pytest.raises(InputError, match=re.escape(message)):
        pixels(Image.new(mode, (3, 3)))


@pytest.mark.parametrize("resampling", ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(60, 45), (7, 31), (33, 9), (20, 14), (300, 200)])
def test_resizing_is_pillows_own_when_a_filter_is_named(resampling, size):
    image, target = Image.fromarray(colours(size[1], size[0])), (W, H)
    filter_ = Image.Resampling[resampling.upper()]
    expected = {
        "stretch": image.resize(target, filter_),
        "cover": ImageOps.fit(image, target, filter_),
        "fit": ImageOps.pad(image, target, filter_),
    }
    for resize, wanted in expected.items():
        found = pixels(np.asarray(image), resize=resize, resampling=resampling)
        np.testing.assert_array_equal(found, np.asarray(wanted), err_msg=resize)


def test_aspect_is_kept_when_resizing_covers_or_fits():
    wide = np.zeros((10, 40, 3), dtype=np.uint8)
    wide[:, 15:25] = 200  # the centre square is bright
    assert (pixels(wide, height=10, width=10, resize="cover") == 200).all()
    fitted = pixels(wide + 50, height=40, width=40, resize="fit")
    assert (fitted[:15] == 0).all()
    assert (fitted[15:25, 20] == 250).all()
    assert (fitted[25:] == 0).all()


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1)])
def test_line_stays_a_line_when_a_very_long_image_is_fitted(shape):
    found = pixels(np.full(shape, 255, dtype=np.uint8), 1, resize="fit")
    assert sorted(np.unique(found)) == [0, 255]
    assert (found == 255).sum() == (W if shape[1] > shape[0] else H)


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_first_frame_is_read_when_an_image_moves(kind):
    frames = [Image.fromarray(np.full((H, W), shade, dtype=np.uint8)) for shade in (10, 120, 250)]
    content = saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=40)
    assert Image.open(io.BytesIO(content)).n_frames == 3
    assert abs(pixels(content).astype(int) - 10).max() <= 3


def test_frame_is_read_when_it_lies_outside_the_screen_of_a_gif():
    content = bytearray(saved(Image.fromarray(grey()), "GIF"))
    content[6:10] = struct.pack("<2H", 3, 2)
    np.testing.assert_array_equal(pixels(bytes(content), 1)[:, :, 0], grey())


def test_image_is_read_at_half_its_size_when_a_jpeg_is_large():
    width = HALVED_PIXELS // 4000 + 8
    image = Image.linear_gradient("L").resize((width, 4000))
    content = saved(image, "JPEG")
    half = Image.open(io.BytesIO(content))
    half.draft(None, (width // 2, 2000))
    assert half.size == (width // 2, 2000)
    expected = np.asarray(half.resize((W, H), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(pixels(content, 1)[:, :, 0], expected)


def test_rows_are_the_same_when_threads_decode_them():
    rows = [
        saved(np.roll(colours(40, 50), shift, axis=0), kind) for shift in range(8) for kind in ("PNG", "JPEG", "WEBP")
    ]
    processor = ImageProcessor(H, W)
    with ThreadPoolExecutor(8) as pool:
        for found, expected in zip(
            pool.map(lambda row: processor.arrays([row])[0], rows), processor.arrays(rows), strict=True
        ):
            np.testing.assert_array_equal(found, expected)


def array_of(shape: tuple[int, ...], value: float = 0, dtype: str = "uint8") -> np.ndarray:
    return np.full(shape, value, dtype=dtype)


FORMS = (
    "the model takes an image: the bytes of a file or their base64 text, a path, or pixels as an array of uint8, "
    "(H, W) or (H, W, C)."
)
SHAPES = "pixels are (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)."
LISTS = "send pixels as whole numbers, 0 to 255, of shape (H, W) or (H, W, C)."


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (None, f"is null; {FORMS}"),
        (1.5, f"is of type float; {FORMS}"),
        ({"image": 1}, f"is of type dict; {FORMS}"),
        (b"", "is an empty file; send a JPEG, PNG, WebP, BMP or GIF file."),
        ("", "is an empty file; send a JPEG, PNG, WebP, BMP or GIF file."),
        (b"%PDF-1.7 .", "is not an image file: it begins with b'%PDF-1.7'. Send JPEG,"),
        (b"II*\0" + bytes(40), "is not an image file: it begins with b'II*\\x00\\x00\\x00\\x00\\x00'. Send JPEG,"),
        (bytes(MAX_FILE_BYTES + 1), f"is a file of more than {MAX_FILE_BYTES} bytes, the most that are read."),
        ("A" * (2 * MAX_FILE_BYTES + 4), f"is a text of {2 * MAX_FILE_BYTES + 4} characters; files of at most"),
        ("no image!", "is the text 'no image!', which is not base64: "),
        ("iVBO", "is not an image file: it begins with b'\\x89PN'. Send"),
        ("ä" * 30, f"is the text '{'ä' * 20}', which is not base64: "),
        ("data:image/png,abc", "is a data: URL that begins with 'data:image/png'; send data:TYPE;base64,…"),
        (Path("nowhere/at/all.png"), "cannot be read: No such file"),
        (Path(), "cannot be read: Is a directory"),
        (saved(colours())[:60], "is a PNG file that cannot be read: "),
        (saved(colours(), "JPEG")[:-40], "is a JPEG file that cannot be read: image file is truncated ("),
        (array_of((4, 4, 3), 0.5, "float32"), "holds values of type float32; send pixels as uint8, 0 to 255."),
        (array_of((4, 4), True, "bool"), "holds values of type bool; send pixels as uint8, 0 to 255."),
        (array_of((4, 4), 256, "int64"), "holds values from 256 to 256; they must lie in [0, 255]."),
        ([[0, 1], [-1, 300]], "holds values from -1 to 300; they must lie in [0, 255]."),
        (array_of((5,)), f"has shape [5]; {SHAPES}"),
        (array_of((4, 5, 2)), f"has shape [4, 5, 2]; {SHAPES}"),
        (array_of((0, 5, 3)), f"has shape [0, 5, 3]; {SHAPES}"),
        (array_of((1, 4, 5, 3)), f"has shape [1, 4, 5, 3]; {SHAPES}"),
        (array_of(()), f"has shape []; {SHAPES}"),
        ([1, 2, 3], f"has shape [3]; {SHAPES}"),
        ([], f"is a list of nothing; {LISTS}"),
        ([None], f"is a list of NoneType; {LISTS}"),
        ([[0.5, 1.0]], f"is a list of float; {LISTS}"),
        ([[True, False]], f"is a list of bool; {LISTS}"),
        ([["a" * 10**6, *[""] * 10**5]], f"is a list of str; {LISTS}"),
        ([[[[]]]], f"is a list of list; {LISTS}"),
        ([[1, 2], 3], f"is a list of int, list; {LISTS}"),
        ([[1, 2], [3]], "holds lists of unequal length: "),
        ([[1, 10**30]], "holds values of type object; send pixels as uint8, 0 to 255."),
        (np.broadcast_to(np.uint8(0), (6001, 6000)), "is a raw image of 6000 × 6001 pixels; at most 36 million are"),
        (Image.new("L", (0, 5)), "is a Pillow image of 0 × 5 pixels; it needs at least one."),
        (Image.open(io.BytesIO(saved(colours())[:200])), "is a Pillow image that cannot be read: "),
    ],
)
def test_row_is_named_with_what_is_wrong_when_it_is_no_image(row, message):
    with pytest.raises(InputError) as caught:
        ImageProcessor(H, W).arrays([colours(), row])
    assert str(caught.value).startswith(f"{row if isinstance(row, Path) else 'Row 1'} {message}")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_large_file_is_refused_when_a_path_names_it(tmp_path):
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    message = f"{path} is a file of more than {MAX_FILE_BYTES} bytes, the most that are read."
    with pytest.raises(InputError, match=re.escape(message)):
        pixels(path)


@pytest.mark.parametrize(
    ("value", "many"),
    [
        ("iVBO", False),
        (["iVBO", "iVBO"], True),
        ([], True),
        ([[0, 1], [2, 3]], False),
        ([[[0, 1, 2], [3, 4, 5]]], False),
        ([[[0], [1]]], False),
        ([[[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]], True),
        ([[[[0, 1, 2]]]], True),
        ([1, 2], False),
        (None, False),
        ({}, False),
    ],
)
def test_rows_are_told_from_one_row_when_json_is_read(value, many):
    assert ImageProcessor(H, W).is_many(value) is many


@pytest.mark.parametrize(
    ("size", "channels", "sizes", "many"),
    [
        ((4, 4), 1, (5, 4, 4), True),  # five grey pictures
        ((4, 4), 3, (5, 4, 4), True),
        ((4, 4), 1, (4, 4, 4), True),  # both have the model's size: its own channels decide
        ((4, 4), 3, (4, 4, 4), False),
        ((28, 28), 1, (5, 28, 28), True),
        ((28, 28), 1, (28, 28, 1), False),  # as the protocol's tensor has it
        ((28, 28), 1, (28, 28, 3), False),
        ((28, 28), 1, (7, 9, 1), False),
        ((6, 3), 1, (9, 6, 3), True),
        ((28, 28), 3, (7, 9, 4), False),
        ((28, 28), 3, (7, 9, 5), True),
        ((28, 28), 1, (1, 4, 4, 1), True),
    ],
)
def test_model_size_decides_when_lists_may_be_grey_pictures_or_one_with_channels(size, channels, sizes, many):
    value = np.arange(np.prod(sizes)).reshape(sizes).astype(np.uint8).tolist()
    processor = ImageProcessor(*size, channels)
    assert processor.is_many(value) is many
    rows = value if many else [value]
    assert len(processor.arrays(rows)) == (sizes[0] if many else 1)


@pytest.mark.parametrize("sizes", [(5, 4, 4), (100, 120, 3)])
def test_lists_are_refused_when_neither_meaning_has_the_size_of_a_grey_model(sizes):
    with pytest.raises(InputError) as caught:
        ImageProcessor(28, 28, 1).is_many(np.zeros(sizes, int).tolist())
    assert str(caught.value) == (
        f"Lists of {sizes[0]} × {sizes[1]} × {sizes[2]} may be {sizes[0]} grey pictures or one of {sizes[2]} channels; "
        "the model takes grey ones of 28 × 28. Send a list of [H, W, C], with C of 1 for grey."
    )


@pytest.mark.parametrize("row", ["iVBO", [[0, 255]], [[[0, 1, 2]]]])
def test_row_fits_the_schema_when_it_is_an_image(row):
    jsonschema.validate(row, ImageProcessor(H, W).row_schema)


@pytest.mark.parametrize("row", [None, 5, {}, [[256]], [[-1]], [["a"]], [5]])
def test_row_breaks_the_schema_when_it_is_no_image(row):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(row, ImageProcessor(H, W).row_schema)


def test_rows_are_stacked_when_they_are_collated():
    processor = ImageProcessor(H, W, 1)
    rows = processor.preprocess([grey(), saved(colours()), grey().tolist()])
    batch = processor.batch(rows)["pixels"]
    assert batch.dtype == np.uint8
    assert processor.input_specs[0].matches(batch)
    assert processor.bucket(rows[0]) == processor.bucket(rows[1])
    assert processor.net_arguments == {"in_channels": 1, "height": H, "width": W}
    assert processor.fit([]) is processor
