"""Image files of strangers, decoded in bounded memory and time. It neither converts pixels nor resizes.

An `InputError` of this module says what the file is or does; whoever knows which one it was puts that before it.
Pillow's readers are called by name: `Image.open` warns of large images instead of refusing them, and its limit is
one for the whole process.
"""

import re
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import NamedTuple

import numpy as np
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from maas.errors import InputError
from maas.runtime.images import MAX_PIXELS, STRIP_ROWS, require_picture_size, upright

JPEG_PIXELS = 50_000_000
HALVED_PIXELS = 25_000_000  # a larger JPEG is read at half its size, by libjpeg's own scaling
WEBP_PIXELS = 16_000_000  # its decoder takes 16 bytes a pixel, the others 4 to 8
MAX_SCANS = 50  # of a JPEG; each is a pass over all its pixels, and encoders write about ten
MAX_PIECES = 20_000  # segments of a JPEG, chunks of a PNG or WebP
ORIENTATION = 0x0112  # the EXIF tag

MARKER = re.compile(rb"\xff([\x01-\xfe])")  # of a JPEG's segments; what stands between them is skipped, as Pillow does
WITHOUT_LENGTH = re.compile(rb"[\xc8\xd0-\xd9\xf0-\xfd]")
LEFT_OUT = re.compile(rb"[\xe1-\xed\xef\xfe]")
GREY, COLOUR = 0, 2  # types of a PNG
WIDE_COLOUR = bytes((16, COLOUR))  # bits and type, in the header of a PNG


class Vetted(NamedTuple):
    """What a reader may see of a file, and its EXIF."""

    content: bytes
    exif: bytes = b""


class Format(NamedTuple):
    """A kind of image file.

    Args:
        name: how messages call it.
        beginning: of its files.
        reader: Pillow's.
        max_pixels: such that decoding stays below 450 MB.
        vetted: takes from a file what bears on its pixels; all else, Pillow would read and keep, at a high price.
    """

    name: str
    beginning: re.Pattern[bytes]
    reader: type[ImageFile]
    max_pixels: int
    vetted: Callable[[bytes], Vetted]


def read_image(content: bytes, max_pixels: int | None = None) -> Image.Image:
    """Decodes a JPEG, PNG, WebP, BMP or GIF file, the first frame of an animation, and turns it as its EXIF says.

    Colour profiles are ignored, as is EXIF that cannot be read.

    Args:
        content: the file.
        max_pixels: largest number of pixels, below what is read of any format; null for that.

    Returns:
        Pixels in the mode that the file has them in; a JPEG of more than 25 megapixels at half its size.

    Raises:
        InputError: the file is none of these, is damaged, or would take too much memory.
    """
    if not content:
        raise InputError("is an empty file; send a JPEG, PNG, WebP, BMP or GIF file.")
    kind = next((one for one in FORMATS if one.beginning.match(content)), None)
    if kind is None:
        raise InputError(f"is not an image file: it begins with {content[:8]!r}. Send JPEG, PNG, WebP, BMP or GIF.")
    if max_pixels is not None:
        kind = kind._replace(max_pixels=min(kind.max_pixels, max_pixels))
    try:
        vetted = kind.vetted(content)
        image = _loaded(kind.reader(BytesIO(vetted.content)), kind)
        if kind.reader is PngImageFile and content[24:26] == WIDE_COLOUR and "transparency" in image.info:
            image = _with_alpha(image, vetted.content)
        return upright(image, orientation_of(vetted.exif))
    except InputError:
        raise
    except Exception as error:  # Pillow's readers raise whatever their parsers do
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"is a {kind.name} file that cannot be read: {reason[:200]}. Save it again.") from error


def declared_pixels(content: bytes) -> int:
    """Returns how many pixels the header of a file declares; 0 where it cannot be read. Nothing is decoded."""
    kind = next((one for one in FORMATS if one.beginning.match(content)), None)
    if kind is None:
        return 0
    try:
        if kind.reader is WebPImageFile:  # it would allocate them
            width, height = _canvas(content)
        else:
            width, height = kind.reader(BytesIO(kind.vetted(content).content)).size
    except Exception:  # noqa: BLE001  Pillow's readers raise whatever their parsers do; reading says what is wrong
        return 0
    return width * height


def orientation_of(exif: bytes) -> int:
    """Returns the orientation that EXIF holds, 1 where there is none or the EXIF is damaged.

    Source:
        TIFF 6.0, section 2: header, then a directory of entries of 12 bytes: tag, type, count, value.
    """
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    try:
        if order:
            (start,) = struct.unpack_from(f"{order}I", tiff, 4)
            (entries,) = struct.unpack_from(f"{order}H", tiff, start)
            for position in range(start + 2, start + 2 + 12 * entries, 12):
                tag, _, _, value = struct.unpack_from(f"{order}2HIH", tiff, position)
                if tag == ORIENTATION:
                    return int(value)
    except struct.error:  # it ends too early
        pass
    return 1


def _loaded(image: ImageFile, kind: Format) -> Image.Image:
    width, height = image.size
    # A progressive JPEG is held as coefficients, 2 bytes a pixel and channel.
    require_picture_size(width, height, HALVED_PIXELS if image.mode == "CMYK" else kind.max_pixels, kind.name)
    if width * height > HALVED_PIXELS:
        image.draft(None, (width // 2, height // 2))  # what no JPEG is, stays as it is
    if image.tile and image.tile[0].codec_name == "bmp_rle":  # Pillow's decoder of these is written in Python
        raise InputError("is a BMP file with run-length coded rows, which are not read. Save it as PNG.")
    image.load()
    return image


def _vetted_jpeg(content: bytes) -> Vetted:
    """Leaves out application segments and comments, other than JFIF's and Adobe's, which bear on the colours.

    Source:
        ITU-T T.81, annex B.
    """
    if (scans := content.count(b"\xff\xda")) > MAX_SCANS:
        raise InputError(f"is a JPEG file of {scans} scans; at most {MAX_SCANS} are read. Save it again.")
    kept, exif, position = [b"\xff\xd8"], b"", 2
    for _ in range(MAX_PIECES):
        found = MARKER.search(content, position)
        if found is None or found[1] == b"\xda":  # the first scan
            return Vetted(b"".join([*kept, content[position:]]), exif)
        position = found.end()
        if not WITHOUT_LENGTH.match(found[1]):
            position += max(2, int.from_bytes(content[position : position + 2], "big"))
        if found[1] == b"\xe1" and content.startswith(b"Exif\0\0", found.end() + 2):
            exif = exif or content[found.end() + 2 : position]
        if not LEFT_OUT.match(found[1]):
            kept.append(content[found.start() : position])
    raise InputError(f"is a JPEG file of more than {MAX_PIECES} segments before its pixels. Save it again.")


def _vetted_png(content: bytes) -> Vetted:
    """Leaves out all chunks (length, name, data, checksum) but size, palette, transparency and pixels.

    Source:
        PNG (third edition), sections 5.3 and 11.
    """
    kept, exif, position = [content[:8]], b"", 8
    for _ in range(MAX_PIECES):
        if position >= len(content):
            return Vetted(b"".join(kept), exif)
        name, end = (
            content[position + 4 : position + 8],
            position + 12 + int.from_bytes(content[position : position + 4]),
        )
        if name in (b"IHDR", b"PLTE", b"IDAT", b"IEND"):
            kept.append(content[position:end])
        if name == b"tRNS":
            kept.append(_with_key_as_read(content[position:end], *content[24:26]))
        if name == b"eXIf":
            exif = content[position + 8 : end - 4]
        position = end
    raise InputError(f"is a PNG file of more than {MAX_PIECES} chunks. Save it again.")


def _with_key_as_read(chunk: bytes, depth: int, kind: int) -> bytes:
    """Returns a tRNS chunk whose transparent grey or colour is on the scale of the pixels as Pillow reads them.

    Of each value only the lowest `depth` bits count. Pillow spreads pixels of 2 and 4 bits over 0 to 255, and not this.

    Source:
        PNG (third edition), section 11.3.1.1.
    """
    count = {GREY: 1, COLOUR: 3}.get(kind, 0)
    if not count or depth > 8 or len(chunk) < 12 + 2 * count:
        return chunk
    most = 2**depth - 1
    spread = 255 // most if depth in (2, 4) else 1
    values = [spread * (value & most) for value in struct.unpack_from(f">{count}H", chunk, 8)]
    data = b"tRNS" + struct.pack(f">{count}H", *values)
    return struct.pack(">I", 2 * count) + data + struct.pack(">I", zlib.crc32(data))


def _with_alpha(image: Image.Image, content: bytes) -> Image.Image:
    """Returns a PNG of 16-bit colour with alpha 0 where a pixel has the file's one transparent colour, all bits of it.

    Pillow reads the high bytes and would compare the whole colour with them; the low bytes are read by a second reader.
    """
    low = PngImageFile(BytesIO(content))
    low.tile = [tile._replace(args="RGB;16L") for tile in low.tile]
    low.load()
    high_key, low_key = np.divmod(image.info.pop("transparency"), 256)
    alpha = Image.new("L", image.size)
    for top in range(0, image.height, STRIP_ROWS):
        box = (0, top, image.width, min(top + STRIP_ROWS, image.height))
        is_clear = (np.asarray(image.crop(box)) == high_key) & (np.asarray(low.crop(box)) == low_key)
        alpha.paste(Image.fromarray(np.where(is_clear.all(axis=2), 0, 255).astype(np.uint8)), box)
    image.putalpha(alpha)
    return image


def _vetted_webp(content: bytes) -> Vetted:
    """Refuses a canvas that Pillow would allocate to learn its size, or too many chunks (name, length, data).

    Source:
        RFC 9649, sections 2.3 to 2.7.
    """
    require_picture_size(*_canvas(content), WEBP_PIXELS, "WebP")
    exif, position = b"", 12
    for _ in range(MAX_PIECES):
        if position >= len(content):
            return Vetted(content, exif)
        length = int.from_bytes(content[position + 4 : position + 8], "little")
        if content[position : position + 4] == b"EXIF":
            exif = content[position + 8 : position + 8 + length]
        position += 8 + length + length % 2
    raise InputError(f"is a WebP file of more than {MAX_PIECES} chunks. Save it again.")


def _canvas(content: bytes) -> tuple[int, int]:
    """Returns width and height of a WebP by its first chunk."""
    if content[12:16] == b"VP8X":
        return 1 + int.from_bytes(content[24:27], "little"), 1 + int.from_bytes(content[27:30], "little")
    if content[12:16] == b"VP8L":
        bits = int.from_bytes(content[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<2H", content, 26)
    return width & 0x3FFF, height & 0x3FFF


def _vetted_gif(content: bytes) -> Vetted:
    """Returns screen, palette and first frame of a GIF, without the comments and extensions before that frame.

    A frame may lie outside the screen, which grows then: Pillow would allocate it to learn its size.

    Source:
        GIF89a, sections 18 to 23.
    """
    width, height, flags = struct.unpack_from("<2HB", content, 6)
    start = position = 13 + (6 << (flags & 7) if flags & 0x80 else 0)
    control = b""
    while content[position] != 0x2C:  # a frame
        if content[position] != 0x21:  # an extension
            raise InputError("is a GIF file without a frame where its first one should be. Save it again.")
        begins, position = position, position + 2
        while content[position]:  # blocks: size, data
            position += 1 + content[position]
        position += 1
        if content[begins + 1] == 0xF9:  # the one that names the transparent colour
            control = content[begins:position]
    left, top, frame_width, frame_height = struct.unpack_from("<4H", content, position + 1)
    require_picture_size(max(width, left + frame_width), max(height, top + frame_height), MAX_PIXELS, "GIF")
    return Vetted(content[:start] + control + content[position:])


FORMATS = (
    Format("JPEG", re.compile(rb"\xff\xd8\xff"), JpegImageFile, JPEG_PIXELS, _vetted_jpeg),
    Format("PNG", re.compile(rb"\x89PNG\r\n\x1a\n"), PngImageFile, MAX_PIXELS, _vetted_png),
    Format("WebP", re.compile(rb"RIFF....WEBP", re.DOTALL), WebPImageFile, WEBP_PIXELS, _vetted_webp),
    Format("GIF", re.compile(rb"GIF8[79]a"), GifImageFile, MAX_PIXELS, _vetted_gif),
    Format("BMP", re.compile(rb"BM"), BmpImageFile, MAX_PIXELS, Vetted),
)
