#!/usr/bin/env bash
# np.array(field, np.uint8) makes 0 of 256, without an error, where the field is a repeated one of protobuf 7.36.2.
#
# The field is a sequence of Python's ints, of which numpy 2 refuses those that the type does not hold. So it does with
# list(field), and with the same field of protobuf's implementation in Python. The compiled one, which is used unasked,
# hands numpy a finished array (`__array__`), which is cast as arrays are.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet protobuf==7.36.2 numpy==2.4.6
cat > "$folder/try.py" <<'PY'
import sys

import google.protobuf
import numpy as np
from google.protobuf.descriptor_pb2 import SourceCodeInfo
from google.protobuf.internal import api_implementation


def read(values):
    try:
        return np.array(values, np.uint8).tolist()
    except OverflowError as error:
        return f"OverflowError: {error}"


field = SourceCodeInfo.Location(path=[255, 256, -1]).path
print(f"protobuf {google.protobuf.__version__} ({api_implementation.Type()}), numpy {np.__version__}, {list(field)}")
print("expected: an OverflowError, as np.array(list(field), np.uint8) gives it:", read(list(field)))
print("seen:    ", read(field))
expected = [255, 0, 255] if sys.argv[1] == "upb" else read(list(field))
sys.exit(0 if read(field) == expected and str(read(list(field))).startswith("OverflowError") else 1)
PY
for implementation in python upb; do
    PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=$implementation \
        "$folder/venv/bin/python" "$folder/try.py" "$implementation"
done
