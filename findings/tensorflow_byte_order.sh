#!/usr/bin/env bash
# TensorFlow 2.21.0 reads big-endian numpy arrays (FITS, netCDF, IDX) as if they were little-endian wherever it writes
# them as a TensorProto: tf.constant(a) gives [1, 2, 3] by itself and other numbers inside tf.function, and a request
# that tf.make_tensor_proto(a) builds for TensorFlow Serving holds those as well. Nobody is told; only an array of one
# element is refused, as "Element type not supported".
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tensorflow-cpu==2.21.0 numpy==2.4.6 protobuf==7.36.2
cat > "$folder/try.py" <<'PY'
import sys

import numpy as np
import tensorflow as tf


def refusal_of_one(kind):
    try:
        return tf.make_ndarray(tf.make_tensor_proto(np.array([1], kind)))
    except TypeError as error:
        return f"TypeError: {error}"


print(f"TensorFlow {tf.__version__}, numpy {np.__version__}, {sys.byteorder}-endian machine")
found = []
for kind in (">f4", ">f8", ">i4", ">i8"):
    array = np.array([1, 2, 3], kind)
    alone = tf.constant(array).numpy()
    inside = tf.function(lambda: tf.constant(array) + 0, autograph=False)().numpy()
    message = tf.make_ndarray(tf.make_tensor_proto(array))
    print(f"{kind}: expected {array.tolist()}, as tf.constant alone gives {alone.tolist()}")
    print(f"     seen in tf.function {inside.tolist()}, in a TensorProto {message.tolist()}, of one {refusal_of_one(kind)}")
    swapped = array.view(array.dtype.newbyteorder("<"))
    found.append(np.array_equal(alone, array) and np.array_equal(message, swapped) and not np.array_equal(inside, array))
sys.exit(0 if all(found) else 1)
PY
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" "$folder/try.py" 2> "$folder/log" || { cat "$folder/log"; exit 1; }
