"""Conversations from files and data sets: messages, prompts with their answers, and sentences made by rule."""

import json
import re
from collections import Counter

import pandas as pd
import pytest

from maas.data.conversations import hub_messages, hub_prompts, messages, prompts
from maas.data.extraction import HELD_OUT, LEARNT, SYSTEM, extraction
from maas.data.splits import prepare
from maas.errors import DataError

TALK = [{"role": "user", "content": "who?"}, {"role": "assistant", "content": "me"}]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MAAS_CACHE", str(tmp_path / "cache"))


def written(path, *lines: object) -> str:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return str(path)


def test_rows_are_the_messages_when_lines_hold_them(tmp_path):
    named = [{**TALK[0], "name": None}, TALK[1]]
    path = written(tmp_path / "a.jsonl", {"messages": TALK, "id": 3}, {"messages": [*named, *TALK]}, {"id": 4})
    rows = messages(path)["all"]["input"]
    assert rows[:] == [TALK, [*TALK, *TALK], None]
    assert rows[1] == [*TALK, *TALK]
    test = written(tmp_path / "b.jsonl", {"messages": TALK})
    sizes = {name: len(table["input"]) for name, table in messages(path, test_path=test).items()}
    assert sizes == {"train": 3, "test": 1}


def test_rows_are_the_messages_when_a_data_set_has_lists_of_objects(tmp_path):
    (tmp_path / "set").mkdir()
    pd.DataFrame({"messages": [TALK, [*TALK, *TALK]]}).to_parquet(tmp_path / "set" / "train.parquet")
    assert hub_messages(str(tmp_path / "set"))["all"]["input"][:] == [TALK, [*TALK, *TALK]]
    assert messages(str(tmp_path / "set" / "train.parquet"))["all"]["input"][:] == [TALK, [*TALK, *TALK]]


@pytest.mark.parametrize(
    "value", ["a text", [], [{"role": "user"}], [{"role": "user", "content": 3}], [3], {"role": "user"}], ids=str
)
def test_cell_is_shown_when_it_holds_no_conversation(tmp_path, value):
    path = written(tmp_path / "a.jsonl", {"messages": TALK}, {"messages": value})
    with pytest.raises(
        DataError, match=f"^{re.escape(path)} holds .* as messages; a conversation is a list of objects"
    ):
        messages(path)["all"]["input"][:]


def test_prompt_and_answer_make_a_conversation_when_a_table_has_both(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("prompt,response,more\nwho?,me,1\n2 + 2,4,\nnothing,,\n")
    rows = prompts(str(path), system="be short")["all"]["input"]
    assert rows[0] == [{"role": "system", "content": "be short"}, *TALK]
    assert [message["content"] for message in rows[1]] == ["be short", "2 + 2", "4"]
    assert rows[2] is None
    tables = {name: {"input": part, "label": [None] * len(part)} for name, part in
              (("train", rows[:1]), ("test", rows[1:]), ("validation", [TALK]))}  # fmt: skip
    splits = prepare(tables, target="none")
    assert (len(splits.test), splits.record.removed) == (1, {"empty": 1})


def test_columns_are_named_by_the_recipe_when_a_data_set_calls_them_otherwise(tmp_path):
    (tmp_path / "set").mkdir()
    pd.DataFrame({"ask": ["who?"], "reply": ["me"]}).to_parquet(tmp_path / "set" / "train.parquet")
    assert hub_prompts(str(tmp_path / "set"), "ask", "reply")["all"]["input"][:] == [TALK]


def test_table_is_refused_when_it_lacks_a_column(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("prompt,reply\nwho?,me\n")
    with pytest.raises(DataError, match="has no column response"):
        prompts(str(path))
    path = written(tmp_path / "a.jsonl", {"talk": TALK})
    with pytest.raises(DataError, match=r"has no column messages; its columns are talk. Set data.source.key."):
        messages(path)


def test_sentences_are_the_same_when_they_are_made_again():
    assert extraction(20, 5, seed=3) == extraction(20, 5, seed=3) != extraction(20, 5, seed=4)


def test_answers_are_in_the_sentences_when_sentences_are_made():
    tables = extraction(400, 100)
    for row in tables["train"]["input"] + tables["test"]["input"]:
        system, asked, answered = (message["content"] for message in row)
        found = json.loads(answered)
        assert (system, set(found)) == (SYSTEM, {"date", "number"})
        assert found["date"][:4] in asked
        assert found["date"] in asked or str(int(found["date"][8:])) in asked
        if found["number"] > 12:
            assert f"{found['number']:,}" in asked


def test_patterns_for_testing_are_never_learnt_when_sentences_are_made():
    def kinds(rows, patterns) -> Counter:
        forms = [re.compile(re.sub(r"\\\{\w+\\\}", ".+", re.escape(one))) for one in patterns]
        return Counter(next((form.pattern for form in forms if form.fullmatch(row[1]["content"])), "") for row in rows)

    tables = extraction(600, 200)
    assert kinds(tables["test"]["input"], LEARNT).keys() == {""}
    assert kinds(tables["train"]["input"], HELD_OUT).keys() == {""}
    assert len(kinds(tables["test"]["input"], HELD_OUT)) == len(HELD_OUT)
    assert len(kinds(tables["train"]["input"], LEARNT)) == len(LEARNT)
