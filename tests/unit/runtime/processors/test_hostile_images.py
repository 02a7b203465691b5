"""Files made to harm: each is an array or one clear error, in a process of its own that stays below 500 MB.

The process ends at any other exception, at any warning and at any crash, and its end fails the test.
"""

import io
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from maas.runtime.contents import MAX_FILE_BYTES
from maas.runtime.image_files import MAX_PIECES, MAX_SCANS

LIMIT_KB = 500_000
WORKER = """
import json, struct, sys, warnings
from pathlib import Path
from maas.errors import InputError
from maas.runtime.processors.image import ImageProcessor

warnings.simplefilter("error")
processor = ImageProcessor(12, 16, 3)
while size := sys.stdin.buffer.read(8):
    content = sys.stdin.buffer.read(struct.unpack("<Q", size)[0])
    try:
        (pixels,) = processor.arrays([content])
        answer = [str(pixels.dtype), *pixels.shape]
    except InputError as error:
        answer = str(error)
    peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
    print(json.dumps([answer, int(peak)]), flush=True)
"""
ARRAY = ["uint8", 12, 16, 3]
EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory from Linux")

Ask = Callable[[bytes], list | str]


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """Sends a file to the process and returns its answer."""
    with subprocess.Popen([sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:

        def answered(content: bytes) -> list | str:
            process.stdin.write(struct.pack("<Q", len(content)) + content)
            process.stdin.flush()
            line = process.stdout.readline()
            assert line, f"the process ended at {content[:200]!r} … of {len(content)} bytes"
            answer, peak_kb = json.loads(line)
            assert peak_kb < LIMIT_KB
            return answer

        yield answered
        process.stdin.close()


def is_array_or_error(answer: list | str) -> bool:
    if isinstance(answer, str):
        return answer.startswith("Row 0 ") and "\n" not in answer and len(answer) < 400
    return answer == ARRAY


def saved(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def samples() -> dict[str, bytes]:
    """Small files of every format, and of what each of them can hold."""
    values = np.random.default_rng(0).integers(0, 256, (9, 11, 4), dtype=np.uint8)
    rgba = Image.fromarray(values)
    rgb, grey, palette = rgba.convert("RGB"), rgba.convert("L"), rgba.convert("RGB").quantize(32)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a description"
    many = {"save_all": True, "append_images": [rgb.rotate(90), rgb.rotate(180)], "duration": 20}
    return {
        "png": saved(rgb, "PNG", exif=exif, icc_profile=bytes(300)),
        "png alpha": saved(rgba, "PNG"),
        "png palette": saved(palette, "PNG", transparency=3),
        "png 16 bit": saved(Image.fromarray(values[:, :, 0].astype(np.uint16) * 257), "PNG"),
        "png moving": saved(rgb, "PNG", **many),
        "jpeg": saved(rgb, "JPEG", exif=exif, comment="a comment"),
        "jpeg progressive": saved(rgb, "JPEG", progressive=True),
        "jpeg inks": saved(rgb.convert("CMYK"), "JPEG"),
        "webp": saved(rgb, "WEBP", exif=exif),
        "webp lossless": saved(rgba, "WEBP", lossless=True),
        "webp moving": saved(rgb, "WEBP", **many),
        "gif": saved(palette, "GIF", transparency=1),
        "gif moving": saved(rgb, "GIF", **many),
        "bmp": saved(rgb, "BMP"),
        "bmp palette": saved(palette, "BMP"),
        "bmp grey": saved(grey, "BMP"),
    }


SAMPLES = samples()
NAMES = st.sampled_from(sorted(SAMPLES))
SIZES = st.sampled_from([0, 1, 2, 255, 5000, 2**14 - 1, 2**15, 2**16 - 1, 2**24 - 1, 2**31 - 1, 2**31, 2**32 - 1])


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_is_an_image_when_it_is_whole(ask, name):
    assert ask(SAMPLES[name]) == ARRAY


@EXAMPLES
@given(content=st.binary(max_size=400))
def test_answer_is_clear_when_bytes_are_random(ask, content):
    answer = ask(content)
    assert isinstance(answer, str)
    assert is_array_or_error(answer)


@EXAMPLES
@given(name=NAMES, content=st.binary(max_size=400), kept=st.integers(2, 40))
def test_answer_is_clear_when_bytes_are_random_behind_a_true_beginning(ask, name, content, kept):
    assert is_array_or_error(ask(SAMPLES[name][:kept] + content))


@EXAMPLES
@given(name=NAMES, share=st.floats(0, 1, exclude_max=True))
def test_answer_is_clear_when_a_file_is_cut_off(ask, name, share):
    assert is_array_or_error(ask(SAMPLES[name][: int(share * len(SAMPLES[name]))]))


@pytest.mark.parametrize("name", SAMPLES)
def test_answer_is_clear_when_a_file_is_cut_off_anywhere_in_its_header(ask, name):
    for length in range(80):
        assert is_array_or_error(ask(SAMPLES[name][:length]))


@EXAMPLES
@given(name=NAMES, flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 7)), min_size=1, max_size=12))
def test_answer_is_clear_when_bits_are_flipped(ask, name, flips):
    content = bytearray(SAMPLES[name])
    for position, bit in flips:
        content[position % len(content)] ^= 1 << bit
    assert is_array_or_error(ask(bytes(content)))


@EXAMPLES
@given(name=NAMES, position=st.integers(0, 10**6), piece=st.binary(max_size=60), dropped=st.integers(0, 60))
def test_answer_is_clear_when_a_piece_is_replaced(ask, name, position, piece, dropped):
    content = SAMPLES[name]
    position %= len(content)
    assert is_array_or_error(ask(content[:position] + piece + content[position + dropped :]))


@EXAMPLES
@given(first=NAMES, second=NAMES, share=st.floats(0, 1))
def test_answer_is_clear_when_two_files_are_joined(ask, first, second, share):
    one, other = SAMPLES[first], SAMPLES[second]
    assert is_array_or_error(ask(one[: int(share * len(one))] + other[int(share * len(other)) :]))


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 2, lines: bytes = b"") -> bytes:
    header = struct.pack(">2I5B", width, height, depth, colour, 0, 0, 0)
    pixels = png_chunk(b"IDAT", zlib.compress(lines))
    return b"\x89PNG\r\n\x1a\n" + b"".join([png_chunk(b"IHDR", header), *chunks, pixels, png_chunk(b"IEND", b"")])


def jpeg(width: int, height: int) -> bytes:
    content = bytearray(SAMPLES["jpeg progressive"])
    at = content.index(b"\xff\xc2")
    content[at + 5 : at + 9] = struct.pack(">2H", height & 0xFFFF, width & 0xFFFF)
    return bytes(content)


def webp(kind: str, width: int, height: int) -> bytes:
    if kind == "canvas":
        content = bytearray(SAMPLES["webp moving"])
        content[24:30] = struct.pack("<I", width & 0xFFFFFF)[:3] + struct.pack("<I", height & 0xFFFFFF)[:3]
    elif kind == "lossless":
        content = bytearray(b"RIFF\x1c\0\0\0WEBPVP8L\x0f\0\0\0\x2f" + bytes(15))
        content[21:25] = struct.pack("<I", (width & 0x3FFF) | (height & 0x3FFF) << 14)
    else:
        content = bytearray(saved(Image.new("RGB", (9, 9)), "WEBP"))
        content[26:30] = struct.pack("<2H", width & 0xFFFF, height & 0xFFFF)
    return bytes(content)


def gif(width: int, height: int, *, frame: bool) -> bytes:
    content = bytearray(SAMPLES["gif"])
    at = content.index(b",", content.index(b"!\xf9")) + 5 if frame else 6
    content[at : at + 4] = struct.pack("<2H", width & 0xFFFF, height & 0xFFFF)
    return bytes(content)


def bmp(name: str, width: int, height: int) -> bytes:
    content = bytearray(SAMPLES[name])
    content[18:26] = struct.pack("<2I", width, height)
    return bytes(content)


PLANTED = {
    "png": png,
    "png 16 bit": lambda width, height: png(width, height, depth=16, colour=0),
    "jpeg": jpeg,
    "webp": lambda width, height: webp("lossy", width, height),
    "webp lossless": lambda width, height: webp("lossless", width, height),
    "webp canvas": lambda width, height: webp("canvas", width, height),
    "gif": lambda width, height: gif(width, height, frame=False),
    "gif frame": lambda width, height: gif(width, height, frame=True),
    "bmp": lambda width, height: bmp("bmp", width, height),
    "bmp palette": lambda width, height: bmp("bmp palette", width, height),
}


@settings(EXAMPLES, max_examples=150)
@given(kind=st.sampled_from(sorted(PLANTED)), width=SIZES, height=SIZES)
def test_answer_is_clear_when_a_header_claims_any_size(ask, kind, width, height):
    assert is_array_or_error(ask(PLANTED[kind](width, height)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (png(2**31 - 1, 2**31 - 1), "a PNG image of 2147483647 × 2147483647 pixels; at most 36 million are read."),
        (png(6001, 6000), "a PNG image of 6001 × 6000 pixels; at most 36 million are read. Send a smaller one."),
        (jpeg(65535, 65535), "a JPEG image of 65535 × 65535 pixels; at most 50 million are read."),
        (webp("lossy", 16383, 16383), "a WebP image of 16383 × 16383 pixels; at most 16 million are read."),
        (webp("lossless", 16383, 16383), "a WebP image of 16384 × 16384 pixels; at most 16 million are read."),
        (webp("canvas", 2**24 - 1, 2**24 - 1), "a WebP image of 16777216 × 16777216 pixels; at most 16 million are"),
        (gif(65535, 65535, frame=False), "a GIF image of 65535 × 65535 pixels; at most 36 million are read."),
        (gif(65535, 65535, frame=True), "a GIF image of 65535 × 65535 pixels; at most 36 million are read."),
        (bmp("bmp", 2**31, 2**31), "a BMP image of 2147483648 × 2147483648 pixels; at most 36 million are read."),
        (png(0, 5), "a PNG file that cannot be read: "),
        (gif(0, 0, frame=True)[:6] + bytes(2) + gif(0, 0, frame=True)[8:], "a GIF image of 0 × 9 pixels; it needs at"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_size_is_named_when_it_is_too_large_or_nothing(ask, content, message):
    assert ask(content).startswith(f"Row 0 is {message}")


def bomb_just_allowed(mode: str) -> bytes:
    """Returns a PNG of few bytes and many pixels."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(Image.new(mode, (6000, 5999)), "PNG", compress_level=1, exif=exif)


def many_scans(count: int) -> bytes:
    """Returns a JPEG of 50 million pixels, whose last scan is repeated."""
    content = saved(Image.new("RGB", (8160, 6120), "red"), "JPEG", progressive=True, subsampling=0, quality=30)
    scans = content.count(b"\xff\xda")
    return content[:-2] + content[content.rindex(b"\xff\xda") : -2] * (count - scans) + b"\xff\xd9"


def moving_webp(frames: int) -> bytes:
    content = SAMPLES["webp moving"]
    at = content.index(b"ANMF")
    size = 8 + struct.unpack_from("<I", content, at + 4)[0]
    body = content[8:at] + content[at : at + size] * frames
    return b"RIFF" + struct.pack("<I", len(body)) + body


def moving_gif(frames: int) -> bytes:
    content = SAMPLES["gif"]
    at = content.index(b"!\xf9")
    return content[:at] + content[at:-1] * frames + b";"


def commented_gif(blocks: int) -> bytes:
    content = SAMPLES["gif"]
    at = content.index(b"!\xf9")
    return content[:at] + b"!\xfe" + (b"\xff" + b"c" * 255) * blocks + b"\0" + content[at:]


def segmented_jpeg(segment: bytes, count: int) -> bytes:
    return SAMPLES["jpeg"][:2] + segment * count + SAMPLES["jpeg"][2:]


def with_chunks(*chunks: bytes) -> bytes:
    return SAMPLES["png"][:33] + b"".join(chunks) + SAMPLES["png"][33:]


def large_text(name: bytes) -> bytes:
    return png_chunk(name, b"key\0\0" + zlib.compress(bytes(40 * 2**20), 9))


def exif_segment(size: int) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", size + 8) + b"Exif\0\0" + b"M" * size


BOMBS = {
    "png of colour": lambda: bomb_just_allowed("RGB"),
    "png with alpha": lambda: bomb_just_allowed("RGBA"),
    "png of 16 bits": lambda: bomb_just_allowed("I;16"),
    "png with a palette": lambda: bomb_just_allowed("P"),
    "jpeg of many scans": lambda: many_scans(MAX_SCANS),
    "webp with alpha": lambda: saved(Image.new("RGBA", (4000, 4000)), "WEBP", lossless=True, method=0),
    "gif": lambda: saved(Image.new("P", (6000, 5999)), "GIF"),
    "png with large texts": lambda: with_chunks(large_text(b"zTXt"), large_text(b"iTXt")),
    "png with a large profile": lambda: with_chunks(large_text(b"iCCP")),
    "png with many texts": lambda: with_chunks(*(png_chunk(b"tEXt", b"%d\0" % one) for one in range(MAX_PIECES - 99))),
    "jpeg with much exif": lambda: segmented_jpeg(exif_segment(1000), MAX_PIECES - 99),
    "jpeg with many empty segments": lambda: segmented_jpeg(b"\xff\xfe\0\2", MAX_PIECES - 99),
    "gif with a long comment": lambda: commented_gif(100_000),
    "gif of many frames": lambda: moving_gif(5_000),
    "webp of many frames": lambda: moving_webp(5_000),
}


@pytest.mark.parametrize("name", BOMBS)
def test_image_is_read_when_a_file_just_within_the_limits_would_swell(ask, name):
    assert ask(BOMBS[name]()) == ARRAY


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (with_chunks(png_chunk(b"tEXt", b"a\0") * MAX_PIECES), f"a PNG file of more than {MAX_PIECES} chunks."),
        (moving_webp(MAX_PIECES), f"a WebP file of more than {MAX_PIECES} chunks. Save it again."),
        (segmented_jpeg(b"\xff\xfe\0\2", MAX_PIECES), f"a JPEG file of more than {MAX_PIECES} segments before its pix"),
        (
            SAMPLES["jpeg"][:-2] + b"\xff\xda" * MAX_SCANS,
            f"a JPEG file of {MAX_SCANS + 1} scans; at most {MAX_SCANS} are",
        ),
        (b"GIF89a" + bytes(7) + b"?", "a GIF file without a frame where its first one should be. Save it again."),
        (
            SAMPLES["bmp palette"][:30] + b"\1" + SAMPLES["bmp palette"][31:],
            "a BMP file with run-length coded rows, wh",
        ),
        (b"BM" + bytes(MAX_FILE_BYTES), f"a file of more than {MAX_FILE_BYTES} bytes, the most that are read."),
        (with_chunks(struct.pack(">I", 2**31 - 1) + b"tEXt"), "a PNG file that cannot be read: "),
        (with_chunks(struct.pack(">I", 2**31 - 1) + b"IDAT"), "a PNG file that cannot be read: "),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_cause_is_named_when_a_file_is_beyond_the_limits(ask, content, message):
    assert ask(content).startswith(f"Row 0 is {message}")
