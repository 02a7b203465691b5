"""What `maas predict` says and how it ends, in this process and as people start it."""

import contextlib
import json
import os
import pty
import subprocess
import sys

import pytest

from maas.command_line import CommandLine
from maas.errors import ConfigError
from maas.predict import main
from maas.predicting.command import PredictCommand


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("price,area,size\n1,2,S\n2,x,M\n")
    return path


def test_object_alone_is_on_standard_output_when_json_is_wanted(table_model, table, tmp_path, capsys):
    with pytest.raises(SystemExit, match="3"):
        main([str(table_model.folder), str(table), str(tmp_path / "out.csv"), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found.pop("seconds") >= 0
    out = str(tmp_path / "out.csv")
    assert found == {"out": out, "rows": 2, "errors": 1, "report": f"{out}.errors.jsonl"}


def test_rows_are_counted_in_words_when_json_is_not_wanted(table_model, table, tmp_path, capsys):
    table.write_text("price,area,size\n1,2,S\n")
    main([str(table_model.folder), str(table), str(tmp_path / "out.csv")])
    shown = capsys.readouterr()
    assert shown.out.startswith("1 rows in ")
    assert shown.out.endswith(f": {tmp_path / 'out.csv'}\n")
    assert shown.err == ""


def test_usage_is_printed_when_nothing_is_typed(capsys):
    for words in ([], ["--help"], ["help"]):
        main(words)
        assert capsys.readouterr().out.startswith("Predicts the rows of a file")


def test_bar_is_shown_when_there_is_a_terminal(table_model, table, tmp_path):
    own, theirs = pty.openpty()
    words = [str(table_model.folder), str(table), str(tmp_path / "out.csv")]
    command = [sys.executable, "-m", "maas", "predict", *words]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, check=False, env=environment)
    os.close(theirs)
    pieces = []
    with contextlib.suppress(OSError):  # the end of a terminal
        while piece := os.read(own, 65536):
            pieces.append(piece)
    os.close(own)
    shown = b"".join(pieces).decode()
    assert done.returncode == 3
    assert "predict" in shown
    assert "100%" in shown
    assert done.stdout.splitlines()[1].startswith(b"1 of them have no prediction: ")


REFUSED = {
    "m rows.csv": "2 words stand beside the settings; name a model, a file of rows and the file to write.",
    "m rows.csv out.csv colums=a": "colums is no setting of predict. Did you mean columns?",
    "m rows.csv out.csv zzz=a": "zzz is no setting of predict. Known are: input, columns, prefix, top_k,",
    "m rows.csv out.csv top_k=0": "top_k is '0'; it must be a whole number, 1 or more. See maas predict --help.",
    "m rows.csv out.csv errors=skip": "errors is 'skip'; it must be one of report, stop. See maas predict --help.",
    "m rows.csv out.csv batch_size=": "batch_size is empty. Leave it out, or set it.",
    "m rows.csv out.csv top_k=1 top_k=2": "top_k is given twice: top_k=1 and top_k=2. Leave one.",
    "m rows.csv out.csv --jsn": "Unrecognized arguments: --jsn. See maas predict --help.",
    "m absent.csv out.csv": "There is no absent.csv. Name a table, a file of lines, or a folder.",
    "m rows.csv .": ". is of no known format; written are .csv, .tsv, .jsonl, .parquet, .txt.",
    "m rows.csv folder.csv replace=true": "folder.csv is a folder. Name a file.",
}


@pytest.mark.parametrize("words", REFUSED)
def test_command_line_is_refused_in_a_line_when_it_cannot_be_meant(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("a\n1\n")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ConfigError) as caught:
        PredictCommand.of(CommandLine.parse("predict", words.split()))
    assert str(caught.value).startswith(REFUSED[words])
    assert "\n" not in str(caught.value)


def test_faults_have_a_line_each_when_there_are_several(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        PredictCommand.of(CommandLine.parse("predict", ["m", "a.csv", "b.csv", "threads=0", "x=1"]))
    assert [line.split()[0] for line in str(caught.value).splitlines()] == ["threads", "x"]
