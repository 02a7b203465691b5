"""docs/own_data.md: its snippets run, its command is one, and its settings are those that the command line takes."""

import ast
import re
from pathlib import Path

import pytest

import maas.new
from maas.inspecting.command import READING

PAGE = (Path(__file__).parents[2] / "docs/own_data.md").read_text(encoding="utf-8")
FITTING, PROPOSING = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture(autouse=True)
def reviews(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("awful", "poor", "plain", "good", "lovely")
    rows = [f"the {place}th night in this hotel was {words[place % 5]},{1 + place % 5}" for place in range(100)]
    (tmp_path / "reviews.csv").write_text("\n".join(["review,stars", *rows]))


@pytest.mark.slow
def test_frame_is_predicted_when_the_snippet_of_fitting_runs(capsys):
    exec(FITTING, {})
    *_, predictions = capsys.readouterr().out.splitlines()
    assert [one["label"] in "12345" for one in ast.literal_eval(predictions)] == [True, True]


def test_snippet_prints_what_is_proposed_when_it_runs(capsys):
    exec(PROPOSING, {})
    assert capsys.readouterr().out == "classification ('review',) {}\n"


def test_recipe_is_written_when_the_command_of_the_page_is_typed(tmp_path):
    (command,) = re.findall(r"`python -m maas\.new ([^`]*)`", PAGE)
    maas.new.main(command.split())
    assert (tmp_path / "reviews.yaml").is_file()


def test_settings_of_reading_are_those_of_the_command_line_when_they_are_listed():
    assert tuple(re.findall(r"^\| `(\w+)=` \|", PAGE, flags=re.MULTILINE)) == READING
