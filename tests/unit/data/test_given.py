"""Rows of every form become what a processor takes, in three parts that share no content."""

import re

import numpy as np
import pytest
from PIL import Image

from maas.data.contents import content_digest
from maas.data.given import given_arrays, given_rows, given_table, parted
from maas.errors import DataError
from maas.runtime.processors.array import ArrayProcessor
from maas.runtime.processors.image import ImageProcessor
from maas.runtime.processors.tabular import TabularProcessor

LABELS = ("cat", "dog")


def read(*arguments, **more):
    table = given_rows(*arguments, **more)
    return list(table["input"]), list(table["label"])


def test_lines_are_rows_without_labels_when_a_text_file_is_given(text_processor, tmp_path):
    file = tmp_path / "rows.txt"
    file.write_text("很好\nbad film\n", encoding="utf-8")
    assert read(file, text_processor, LABELS) == (["很好", "bad film"], [None, None])


def test_named_columns_are_inputs_and_labels_when_a_table_is_given(text_processor, tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("text,review,stars\na,很好,dog\nb,bad,cat\n", encoding="utf-8")
    assert read(file, text_processor, LABELS) == (["a", "b"], [None, None])
    assert read(file, text_processor, LABELS, "review", "stars") == (["很好", "bad"], ["dog", "cat"])
    with pytest.raises(DataError, match="has no column mark; its columns are text, review, stars. Set input=COLUMN"):
        read(file, text_processor, LABELS, None, "mark")


def test_rows_are_dictionaries_of_the_bundles_columns_when_its_processor_is_tabular(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("size,extra,kind,delay\n1.5,x,a,3\n,y,b,4\n")
    processor = TabularProcessor(["size"], ["kind"])
    rows = [{"size": 1.5, "kind": "a"}, {"size": None, "kind": "b"}]
    assert read(file, processor, (), None, "delay") == (rows, ["3", "4"])
    with pytest.raises(DataError, match="has no column colour; its columns are size, extra, kind, delay"):
        read(file, TabularProcessor(["size"], ["colour"]), ())


def test_columns_are_read_as_the_bundle_takes_them_when_its_processor_is_tabular(tmp_path):
    (tmp_path / "rows.csv").write_text("code,size,kind,delay\n01,007,1.10,01\n1,8,1.1,1\nTRUE,9.5,,1.0\n")
    rows, labels = read(tmp_path / "rows.csv", TabularProcessor(["size"], ["code", "kind"]), (), None, "delay")
    assert rows == [
        {"size": 7, "code": "01", "kind": "1.10"},
        {"size": 8, "code": "1", "kind": "1.1"},
        {"size": 9.5, "code": "TRUE", "kind": None},
    ]
    assert labels == ["01", "1", "1.0"]
    with pytest.raises(DataError, match="has 'TRUE' in the column code, and data.source.numbers, which is processor"):
        read(tmp_path / "rows.csv", TabularProcessor(["code"], ["kind"]), ())


def test_folders_tell_labels_when_they_have_the_names_of_the_models(tmp_path):
    processor = ImageProcessor(height=8, width=8)
    for label in LABELS:
        (tmp_path / label).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / label / "one.png")
    paths = [tmp_path / label / "one.png" for label in LABELS]
    assert read(tmp_path, processor, LABELS) == (paths, list(LABELS))
    assert read(tmp_path, processor, ("left", "right")) == (paths, [None, None])
    with pytest.raises(DataError, match=r"folders of the model's labels and others \(dog\)"):
        read(tmp_path, processor, ("cat", "cow"))


def test_arrays_are_rows_with_targets_when_they_are_named_so(tmp_path):
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.savez(tmp_path / "rows.npz", inputs=rows, targets=np.array([1, 0, 1]))
    found, labels = read(tmp_path / "rows.npz", ArrayProcessor([2]), LABELS)
    np.testing.assert_array_equal(found, rows)
    assert labels == ["dog", "cat", "dog"]
    np.save(tmp_path / "rows.npy", rows)
    np.testing.assert_array_equal(read(tmp_path / "rows.npy", ArrayProcessor([2]), LABELS)[0], rows)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pixels": np.zeros((3, 2))}, "holds pixels; it must hold inputs, and may hold targets"),
        ({"inputs": np.zeros((3, 2)), "targets": np.zeros(2)}, "unequal length (inputs 3, targets 2)"),
        ({"inputs": np.zeros((3, 2)), "targets": np.array([0, 1, 2])}, "holds 0 to 2; the model has 2 labels, 0 to 1"),
        ({"inputs": np.zeros((3, 2)), "targets": np.zeros((3, 1))}, "has shape [3, 1]; it must be one for each row"),
    ],
)
def test_arrays_are_refused_when_they_are_not_rows_and_targets(arrays, message, tmp_path):
    np.savez(tmp_path / "rows.npz", **arrays)
    with pytest.raises(DataError, match=re.escape(message)):
        given_rows(tmp_path / "rows.npz", ArrayProcessor([2]), LABELS)


@pytest.mark.parametrize("content", [b"", b"not arrays", b"PK\x03\x04 cut off"])
def test_file_is_refused_in_one_line_when_it_holds_no_arrays(content, tmp_path):
    (tmp_path / "rows.npz").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as arrays: ") as caught:
        given_arrays(tmp_path / "rows.npz")
    assert "\n" not in str(caught.value)


def test_what_has_no_columns_or_is_not_there_is_refused_when_it_is_named(text_processor, tmp_path):
    with pytest.raises(DataError, match=re.escape("nothing.txt. Set calibration=PATH")):
        given_rows(tmp_path / "nothing.txt", text_processor, LABELS)
    with pytest.raises(DataError, match="has no columns; leave out input= and label="):
        given_rows(tmp_path, text_processor, LABELS, "text")
    with pytest.raises(DataError, match="is a folder; a text processor takes lines"):
        given_rows(tmp_path, text_processor, LABELS)


def test_parts_share_no_content_and_never_change_when_rows_repeat_or_move(tmp_path):
    rows = [f"row {index % 90}" for index in range(180)]
    table = given_table(rows, np.array([index % 90 % 2 for index in range(180)]), LABELS, tmp_path)
    splits = parted(table, LABELS, tmp_path)
    parts = [{content_digest(row) for row in part.inputs} for part in (splits.train, splits.validation, splits.test)]
    assert [len(part) for part in parts] == [30, 30, 30]
    assert len(set.union(*parts)) == 90
    turned = {name: list(reversed(values)) for name, values in table.items()}
    assert parted(turned, LABELS, tmp_path).record.fingerprint == splits.record.fingerprint
    assert splits.labels == LABELS


def test_parts_are_refused_when_rows_are_few_or_labels_unknown(tmp_path):
    few = {"input": ["same"] * 40, "label": [None] * 40}
    with pytest.raises(DataError, match="holds 1 different rows; at least 30 are needed"):
        parted(few, LABELS, tmp_path)
    with pytest.raises(DataError, match="holds 5 different rows"):
        parted({"input": list("abcde"), "label": [None] * 5}, LABELS, tmp_path)
    with pytest.raises(DataError, match="has the labels cow; those of the model are cat, dog"):
        parted({"input": ["a"], "label": ["cow"]}, LABELS, tmp_path)


def test_target_is_missing_when_an_array_holds_nan(tmp_path):
    np.savez(tmp_path / "rows.npz", inputs=np.ones((3, 2)), targets=np.array([1.5, np.nan, 1e-5]))
    assert read(tmp_path / "rows.npz", ArrayProcessor([2]), ())[1] == ["1.5", None, "1e-05"]
