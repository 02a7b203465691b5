"""Sets of labels are read from separated cells, from lists and from columns of 0 and 1, and become rows of 0 and 1."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from maas.data.columns import FileTable
from maas.data.file_tables import file_table
from maas.data.sources import files
from maas.data.splits import Splits, prepare
from maas.errors import DataError

SETS = [["red", "round"], [], ["round"], ["red"]] * 10
TEXTS = [f"text {index}" for index in range(40)]


def prepared(source) -> Splits:
    return prepare(source, 0.2, 0.2, target="labels")


def separated(folder):
    path = folder / "rows.csv"
    path.write_text(
        "text,kinds\n" + "".join(f"{text},{'; '.join(one)}\n" for text, one in zip(TEXTS, SETS, strict=True))
    )
    return files(path, label="kinds", label_separator=";")


def of_columns(folder):
    path = folder / "columns.csv"
    rows = [f"{text},{int('red' in one)},{int('round' in one)}\n" for text, one in zip(TEXTS, SETS, strict=True)]
    path.write_text("text,red,round\n" + "".join(rows))
    return files(path, label=["red", "round"])


def of_lists(folder):
    path = folder / "rows.parquet"
    pq.write_table(pa.table({"text": TEXTS, "kinds": pa.array(SETS, pa.list_(pa.string()))}), path)
    return files(path, label="kinds")


def of_json(folder):
    path = folder / "rows.jsonl"
    path.write_text(
        "".join(json.dumps({"text": text, "kinds": one}) + "\n" for text, one in zip(TEXTS, SETS, strict=True))
    )
    return files(path, label="kinds")


@pytest.mark.parametrize("form", [separated, of_columns, of_lists, of_json])
def test_targets_are_rows_of_0_and_1_when_sets_are_written_in_any_form(form, tmp_path):
    splits = prepared(form(tmp_path))
    assert (splits.labels, splits.target) == (("red", "round"), "labels")
    assert sum(map(len, (splits.train, splits.validation, splits.test))) == 40
    for split in (splits.train, splits.validation, splits.test):
        assert split.targets.shape == (len(split), 2)
        for text, target in zip(split.inputs, split.targets, strict=True):
            expected = SETS[int(text.removeprefix("text "))]
            assert [name for name, there in zip(splits.labels, target, strict=True) if there] == sorted(expected)
        assert split.picked([0]).targets.shape == (1, 2)


def test_fingerprint_is_the_same_when_the_same_sets_are_written_otherwise(tmp_path):
    found = {prepared(form(tmp_path)).record.fingerprint for form in (separated, of_columns, of_lists)}
    assert len(found) == 1


def test_rows_of_columns_have_sets_when_the_target_is_several_columns(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("size,red,round\n" + "".join(f"{index},{index % 2},{index % 3 == 0:d}\n" for index in range(30)))
    splits = prepared(FileTable(path=str(path), target=["red", "round"]))
    assert set(splits.train.inputs[0]) == {"size"}
    for row, target in zip(splits.train.inputs, splits.train.targets, strict=True):
        assert target.tolist() == [row["size"] % 2, row["size"] % 3 == 0]


def test_target_may_be_one_label_a_row_when_sets_are_learnt():
    splits = prepared({"all": {"input": TEXTS, "label": ["a", "b"] * 20}})
    assert np.unique(splits.train.targets.sum(axis=1)).tolist() == [1]


def test_sets_are_refused_when_one_label_is_learnt(tmp_path):
    with pytest.raises(
        DataError, match=r"^The target \['red', 'round'\] is a set of labels, and data.target=label requires"
    ):
        prepare(separated(tmp_path), target="label")


def test_column_is_refused_when_it_holds_neither_0_nor_1(tmp_path):
    path = tmp_path / "wrong.csv"
    path.write_text("text,red,round\na,1,0\nb,2,1\n")
    with pytest.raises(DataError, match=r"^The column red holds 2; columns that are labels hold 0 and 1\."):
        prepared(files(path, label=["red", "round"]))


def test_column_of_numbers_is_refused_when_a_separator_is_given(tmp_path):
    path = tmp_path / "numbers.parquet"
    pq.write_table(pa.table({"text": ["a", "b"], "kinds": [1, 2]}), path)
    with pytest.raises(
        DataError, match="The column kinds holds a int64; sets of labels are a column of lists, several"
    ):
        prepared(files(path, label="kinds", label_separator=";"))


def test_pictures_have_sets_when_a_table_names_their_files(tmp_path):
    for index in range(20):
        (tmp_path / f"{index}.png").write_bytes(bytes([index]))
    rows = [f"{index}.png,{'red|round' if index % 2 else 'red'}\n" for index in range(20)]
    (tmp_path / "rows.csv").write_text("path,label\n" + "".join(rows))
    splits = prepared(file_table(str(tmp_path / "rows.csv"), label_separator="|"))
    assert splits.labels == ("red", "round")
    for path, target in zip(splits.train.inputs, splits.train.targets, strict=True):
        assert target.tolist() == [1, int(path.stem) % 2]
