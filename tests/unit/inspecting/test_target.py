"""What a column is learnt as, and which others give it away; from frames, as a notebook has them."""

import numpy as np
import pandas as pd
import pytest

from maas.errors import DataError
from maas.inspecting import inspect_data, propose
from maas.inspecting.proposal import model_name, repeated_fraction
from maas.inspecting.target import describe_target

RANDOM = np.random.default_rng(0)
COUNT = 200


def frame(**columns):
    return inspect_data(pd.DataFrame({"x": RANDOM.standard_normal(COUNT), **columns}))


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (RANDOM.integers(0, 2, COUNT), "classification"),
        (RANDOM.integers(1, 6, COUNT), "classification"),
        (RANDOM.choice([0, 1, 2, 3, 7, 12], COUNT), "regression"),
        (RANDOM.integers(0, 10_000, COUNT), "regression"),
        (RANDOM.standard_normal(COUNT), "regression"),
        (RANDOM.integers(0, 2, COUNT).astype(bool), "classification"),
        (RANDOM.choice(["a", "b", None], COUNT), "classification"),
    ],
)
def test_task_is_that_of_the_values_when_a_target_is_described(values, task):
    assert describe_target(frame(y=values), "y").task == task


def test_copy_is_left_out_and_giver_is_named_when_columns_hold_the_target():
    kinds = RANDOM.integers(0, 4, COUNT)
    data = frame(y=np.array(["a", "b"])[kinds // 2], copy=np.array(["no", "yes"])[kinds // 2], giver=kinds)
    proposal = propose(data, "y")
    assert proposal.left_out == {"copy": "it holds the same as y"}
    assert proposal.target.suspects == ("giver",)
    assert proposal.inputs == ("x", "giver")
    assert proposal.notes == ("giver gives y away nearly always: is it known before y is? If not, leave it out",)


def test_column_in_another_unit_is_left_out_when_the_target_is_a_number():
    y = RANDOM.standard_normal(COUNT)
    assert propose(frame(y=y, pounds=2.2 * y + 3, noisy=y + RANDOM.standard_normal(COUNT)), "y").inputs == (
        "x",
        "noisy",
    )


def test_equal_rows_are_counted_when_some_columns_are_looked_at():
    data = frame(a=[1] * 50 + list(range(COUNT - 50)), b=["u", "v"] * 100)
    assert repeated_fraction(data, ["b"]) == 1.0
    assert repeated_fraction(data, ["x"]) == 0.0
    assert 0.2 <= repeated_fraction(data, ["a", "b"]) <= 0.3
    assert repeated_fraction(inspect_data(pd.DataFrame({"x": [-1, -2, -3]})), ["x"]) == 0.0  # hash(-1) is hash(-2)


def test_folder_takes_no_target_when_its_folders_are_the_labels(tmp_path):
    from PIL import Image

    for label in "ab":
        (tmp_path / label).mkdir()
        Image.new("L", (4, 3)).save(tmp_path / label / "1.png")
    data = inspect_data(tmp_path)
    with pytest.raises(DataError, match="is a folder, whose folders are the labels. Leave target=a out."):
        describe_target(data, "a")
    assert describe_target(data, None).labels == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    ("origin", "name"),
    [
        ("data/my file.v2.csv", "my_file"),
        ("评论.csv.gz", "评论"),
        ("owner/name", "name"),
        ("(1).csv", "1"),
        ("?.csv", "model"),
    ],
)
def test_name_is_the_files_when_a_model_is_named(origin, name):
    assert model_name(origin) == name


@pytest.mark.parametrize(
    ("sentence", "algorithm"), [("a good day number {}", "words"), ("第{}次来这里吃饭，味道很好", "characters")]
)
def test_tokens_are_words_when_the_writing_has_blanks(sentence, algorithm):
    texts = pd.DataFrame({"text": [sentence.format(place) for place in range(COUNT)], "y": ["a", "b"] * 100})
    proposal = propose(inspect_data(texts), "y")
    assert proposal.model.reads_one_text
    assert proposal.settings["processor"]["algorithm"] == algorithm
    assert proposal.parts["baseline"] == "tfidf"
