"""IDX files, whole and broken, and Fashion-MNIST as Debian ships it."""

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from maas.data import idx
from maas.errors import DataError

IMAGES = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
LABELS = np.array([2, 0, 1], dtype=np.uint8)


def packed(array: np.ndarray, kind: int = 0x08) -> bytes:
    """Writes the format as its authors describe it: two zeros, type, number of axes, their sizes, the values."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape) + array.tobytes()


def written(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize("squeeze", [bytes, gzip.compress])
@pytest.mark.parametrize("array", [LABELS, IMAGES, IMAGES[..., None].repeat(3, axis=-1), IMAGES[:0]])
def test_array_is_the_one_that_was_written_when_the_file_is_whole(tmp_path, squeeze, array):
    path = tmp_path / "array"
    path.write_bytes(squeeze(packed(array)))
    found = idx.read_idx(path)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, array)


def test_rows_are_arrays_with_names_when_labels_have_names(tmp_path):
    images, labels = written(tmp_path / "i", packed(IMAGES)), written(tmp_path / "l", packed(LABELS))
    table = idx.idx_images(images, labels, names=["zero", "one", "two"])["all"]
    np.testing.assert_array_equal(np.stack(table["input"]), IMAGES)
    assert table["label"] == ["two", "zero", "one"]
    assert idx.idx_images(images, labels)["all"]["label"] == ["2", "0", "1"]


def test_second_pair_is_the_test_split_when_it_is_given(tmp_path):
    files = [written(tmp_path / "i", packed(IMAGES)), written(tmp_path / "l", packed(LABELS))]
    files += [written(tmp_path / "ti", packed(IMAGES[:1])), written(tmp_path / "tl", packed(LABELS[:1]))]
    assert {split: len(table["input"]) for split, table in idx.idx_images(*files).items()} == {"train": 3, "test": 1}
    with pytest.raises(DataError) as caught:
        idx.idx_images(*files[:3])
    assert str(caught.value) == ("A test split has two files. Set data.source.test_images and data.source.test_labels.")


WHOLE = packed(IMAGES)
BROKEN = {
    "empty": (b"", "is no IDX file: it begins with nothing, not with 00 00."),
    "another format": (b"\x89PNG\r\n", "is no IDX file: it begins with 89 50 4e 47, not with 00 00."),
    "another type": (packed(IMAGES, 0x0D), "holds values of type 0x0D; it must be 0x08, unsigned bytes."),
    "cut in the header": (WHOLE[:9], "is truncated: its header ends early."),
    "cut in the values": (WHOLE[:-7], "claims 60 values and holds only 53. Fetch it again."),
    "too long": (WHOLE + b"\0", "claims 60 values and holds more. Fetch it again."),
    "a lying header": (
        struct.pack(">BBBB3I", 0, 0, 8, 3, 2**32 - 1, 28, 28),
        "claims 3,367,254,359,280 bytes; at most 2,147,483,648 are read.",
    ),
    "a cut archive": (
        gzip.compress(WHOLE)[:-12],
        "cannot be read: Compressed file ended before the end-of-stream marker was reached. Fetch it again.",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_fault_is_named_when_a_file_is_broken(tmp_path, case):
    content, message = BROKEN[case]
    path = written(tmp_path / "file", content)
    with pytest.raises(DataError) as caught:
        idx.read_idx(Path(path))
    assert str(caught.value) == f"{path} {message}"


@pytest.mark.parametrize("place", [12, 20, 40])
def test_archive_is_refused_when_one_byte_of_it_is_wrong(tmp_path, place):
    content = bytearray(gzip.compress(packed(np.random.default_rng(0).integers(0, 256, 4000, dtype=np.uint8))))
    content[place] ^= 0xFF
    with pytest.raises(DataError):
        idx.read_idx(Path(written(tmp_path / "file", bytes(content))))


@pytest.mark.parametrize("squeeze", [bytes, gzip.compress])
def test_memory_stays_small_when_a_header_claims_a_gigabyte(tmp_path, squeeze):
    path = Path(written(tmp_path / "file", squeeze(struct.pack(">BBBB3I", 0, 0, 8, 3, 2**20, 32, 32) + bytes(100))))
    tracemalloc.start()
    with pytest.raises(DataError, match="claims 1,073,741,824 values and holds only 100"):
        idx.read_idx(path)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def test_memory_stays_small_when_an_archive_unpacks_to_more_than_it_claims(tmp_path):
    bomb = gzip.compress(struct.pack(">BBBB1I", 0, 0, 8, 1, 10) + bytes(200_000_000))
    tracemalloc.start()
    with pytest.raises(DataError, match="claims 10 values and holds more"):
        idx.read_idx(Path(written(tmp_path / "file", bomb)))
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("images", "labels", "names", "message"),
    [
        (LABELS, IMAGES, None, "{i} has 1 axes and {l} 3; images must have 3 or 4 and labels 1. Are the two files ex"),
        (IMAGES, LABELS[:2], None, "{i} holds 3 images and {l} 2 labels."),
        (IMAGES, LABELS, ["a", "b"], "{l} holds the label 2; data.source.names names 2, from 0 on."),
    ],
)
def test_files_are_refused_when_they_do_not_belong_together(tmp_path, images, labels, names, message):
    paths = {"i": written(tmp_path / "images", packed(images)), "l": written(tmp_path / "labels", packed(labels))}
    with pytest.raises(DataError) as caught:
        idx.idx_images(paths["i"], paths["l"], names=names)
    assert str(caught.value).startswith(message.format(**paths))


def test_command_and_hub_id_are_named_when_the_debian_package_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(idx, "FASHION_FOLDER", str(tmp_path / "gone"))
    with pytest.raises(DataError) as caught:
        idx.fashion_mnist(str(tmp_path / "gone"))
    assert str(caught.value) == (
        "The Debian package dataset-fashion-mnist holds these images and is not installed. "
        "Run: sudo apt-get install dataset-fashion-mnist (or take such data from the hub: "
        "data=hub data.source.id=zalando-datasets/fashion_mnist data.source.input=image)"
    )


def test_file_is_named_when_a_folder_of_ones_own_lacks_it(tmp_path):
    with pytest.raises(DataError) as caught:
        idx.fashion_mnist(str(tmp_path))
    assert str(caught.value) == (
        f"There is neither {tmp_path}/train-images-idx3-ubyte.gz nor train-images-idx3-ubyte beside it. "
        "Set data.source.folder."
    )


@pytest.mark.parametrize("squeeze", [False, True])
def test_clothes_have_names_when_a_folder_holds_the_four_files(tmp_path, squeeze):
    for split, count in (("train", 3), ("t10k", 2)):
        for kind, array in (("images-idx3", IMAGES[:count]), ("labels-idx1", LABELS[:count])):
            content, name = packed(array), f"{split}-{kind}-ubyte"
            written(tmp_path / (f"{name}.gz" if squeeze else name), gzip.compress(content) if squeeze else content)
    tables = idx.fashion_mnist(str(tmp_path))
    assert {split: table["label"] for split, table in tables.items()} == {
        "train": ["Pullover", "T-shirt/top", "Trouser"],
        "test": ["Pullover", "T-shirt/top"],
    }


@pytest.mark.skipif(not Path(idx.FASHION_FOLDER).is_dir(), reason="needs: sudo apt-get install dataset-fashion-mnist")
def test_labels_are_balanced_when_fashion_mnist_is_installed():
    tables = idx.fashion_mnist()
    for split, count in (("train", 6000), ("test", 1000)):
        assert {name: tables[split]["label"].count(name) for name in idx.FASHION_LABELS} == dict.fromkeys(
            idx.FASHION_LABELS, count
        )
        assert {(row.shape, row.dtype.name) for row in tables[split]["input"]} == {((28, 28), "uint8")}
