#!/usr/bin/env bash
# Pillow reads the high bytes of a PNG of 16-bit colour, but compares them with the low bytes of the colour that its
# tRNS chunk calls transparent: a pixel of that very colour stays opaque, and another one vanishes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv; ./venv/bin/pip install -q pillow==13.0.0
cat > check.py <<'PY'
import io, struct, sys, zlib
import PIL
from PIL import Image


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


KEY, OTHER = (0x1234, 0x1234, 0x1234), (0x3400, 0x3400, 0x3400)
content = b"\x89PNG\r\n\x1a\n" + b"".join([
    chunk(b"IHDR", struct.pack(">2I5B", 2, 1, 16, 2, 0, 0, 0)),
    chunk(b"tRNS", struct.pack(">3H", *KEY)),
    chunk(b"IDAT", zlib.compress(b"\0" + struct.pack(">6H", *KEY, *OTHER))),
    chunk(b"IEND", b""),
])
alpha = list(Image.open(io.BytesIO(content)).convert("RGBA").getchannel("A").tobytes())
print("Pillow", PIL.__version__)
print("expected alpha [0, 255]: the first pixel has the transparent colour, the second has not")
print("seen     alpha", alpha)
sys.exit(0 if alpha == [255, 0] else 1)
PY
./venv/bin/python check.py
