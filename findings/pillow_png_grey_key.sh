#!/usr/bin/env bash
# Pillow spreads the grey levels of a PNG of 2 or 4 bits over 0 to 255, but leaves the one that its tRNS chunk calls
# transparent as it is, so that no pixel, or another one, becomes transparent.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv; ./venv/bin/pip install -q pillow==13.0.0
cat > check.py <<'PY'
import io, struct, sys, zlib
import PIL
from PIL import Image


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


# PNG (third edition): one line of four pixels of 2 bits, the levels 0, 1, 2, 3; level 1 is transparent
content = b"\x89PNG\r\n\x1a\n" + b"".join([
    chunk(b"IHDR", struct.pack(">2I5B", 4, 1, 2, 0, 0, 0, 0)),
    chunk(b"tRNS", struct.pack(">H", 1)),
    chunk(b"IDAT", zlib.compress(b"\0" + bytes([0b00011011]))),
    chunk(b"IEND", b""),
])
image = Image.open(io.BytesIO(content))
levels, alpha = list(image.tobytes()), list(image.convert("RGBA").getchannel("A").tobytes())
print("Pillow", PIL.__version__)
print("levels  ", levels)
print("expected alpha", [255, 0, 255, 255], "(level 1 of 0 to 3 is transparent)")
print("seen     alpha", alpha)
sys.exit(0 if (levels, alpha) == ([0, 85, 170, 255], [255, 255, 255, 255]) else 1)
PY
./venv/bin/python check.py
