"""`python -m maas.report` on a run of the whole line: from its folder, from its bundle, and from the registry."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import maas
import maas.report
from maas.registry.tracking.logged import logged_training
from tests.unit.reporting.conftest import PageReader

DOCUMENT = Path(__file__).parents[2] / "docs/report.md"


@pytest.fixture
def here(line, config, tmp_path, monkeypatch) -> Path:
    """A folder in which `runs` and the registry are those of the line."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").symlink_to(line.folder.path.parents[1])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", config.registry["tracking_uri"])
    return tmp_path


def sections_of(file: Path) -> set[str | None]:
    return {one.get("id") for one in PageReader(file.read_text(encoding="utf-8")).all("section")}


def text_of(file: Path) -> str:
    return " ".join(PageReader(file.read_text(encoding="utf-8")).text.split())


@pytest.mark.usefixtures("here")
def test_page_has_everything_when_a_run_is_named(line, entered, tmp_path):
    status, told, errors = entered(maas.report.main, "runs/digits_mlp/latest", "lang=en", "examples=2")
    assert (status, errors) == (0, "")
    file = tmp_path / "digits_mlp-report.html"
    assert told.splitlines()[-1].startswith("written to digits_mlp-report.html (")
    wanted = "metrics confusion probabilities slices examples robustness training line compression latency lineage"
    assert set(wanted.split()) <= sections_of(file)
    text = text_of(file)
    assert f"{100 * line.bundle.evidence.metrics['shipped']['accuracy'].value:.1f} %" in text
    rows = line.bundle.evidence.data.rows["test"]
    assert f"On {rows} of {rows} test rows." in text
    assert f"epoch {line.checkpoint.record.best_epoch + 1} of 4" in text
    assert "What this page lacks" not in text


@pytest.mark.usefixtures("here")
def test_curves_are_those_of_the_run_when_a_version_is_named(line, entered, tmp_path):
    logged = logged_training(line.version.uri, maas.registry.reading.addresses.default_tracking_uri())
    assert logged.version == line.version.version
    assert len(logged.history) == 4
    for epoch, kept in zip(logged.history, line.checkpoint.record.history, strict=True):
        assert epoch == pytest.approx({key: value for key, value in kept.items() if key in epoch})
    status, _, errors = entered(maas.report.main, line.version.uri, "rows=golden", "out=version.html", "lang=en")
    assert (status, errors) == (0, "")
    assert "training" in sections_of(tmp_path / "version.html")
    text = text_of(tmp_path / "version.html")
    assert f"version {line.version.version}" in text
    assert "Test rows were not read (rows=golden)" in text


@pytest.mark.usefixtures("here")
def test_page_is_in_mlflow_when_a_version_was_made(line, tmp_path):
    from mlflow import MlflowClient

    client = MlflowClient(maas.registry.reading.addresses.default_tracking_uri())
    file = Path(client.download_artifacts(line.folder.state.tracking_id, "report/report.html", str(tmp_path)))
    assert {"metrics", "confusion", "training", "line", "compression", "lineage"} <= sections_of(file)
    assert "This page was made while the model was registered" in text_of(file)


@pytest.mark.usefixtures("here")
def test_rows_of_a_file_are_measured_when_they_are_named(line, entered, tmp_path):
    rows = np.array(line.bundle.golden.inputs * 3)
    labels = line.bundle.manifest.postprocessor["labels"]
    predicted = [labels.index(one["label"]) for one in line.bundle.predict(rows.tolist())]
    np.savez(tmp_path / "own.npz", inputs=rows, targets=np.array(predicted))
    status, _, errors = entered(maas.report.main, "runs/digits_mlp/latest", "rows=own.npz", "lang=en", "out=own.html")
    assert (status, errors) == (0, "")
    text = text_of(tmp_path / "own.html")
    assert f"On {len(rows)} of {len(rows)} rows of the named file" in text
    assert "right for 100.0 %" in text


def test_commands_of_the_document_run_when_they_are_typed(here, entered):
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    commands = [shlex.split(one)[3:] for language, block in blocks if language == "sh" for one in block.splitlines()]
    assert len(commands) == 2
    for command in commands:
        assert entered(maas.report.main, *command)[0] == 0
    assert {"digits_mlp-report.html", "digits.html"} <= {file.name for file in here.iterdir()}
    names: dict[str, object] = {}
    exec(next(block for language, block in blocks if language == "python"), names)
    assert names["bundle"].evidence.metrics


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["a", "b"], "2 models were named; report takes one. See maas report --help."),
        (["runs/digits_mlp/latest", "lang=fr"], "lang is 'fr'; it must be en or zh, or be left out for both."),
        (["runs/digits_mlp/latest", "examples=-1"], "examples is '-1'; it must be a whole number, 0 or more."),
        (
            ["runs/digits_mlp/latest", "rows=absent.csv"],
            "rows is 'absent.csv'; it must be test, golden, none, or a file or folder that exists.",
        ),
        (["runs/none"], "runs/none"),
    ],
)
def test_one_line_says_what_is_wrong_when_something_is(entered, arguments, told):
    status, _, errors = entered(maas.report.main, *arguments)
    assert status == 2
    assert errors.count("\n") == 1
    assert told in errors


def test_run_without_a_bundle_says_so_when_it_is_named(entered, tmp_path):
    (tmp_path / "run.json").write_text("{}")
    status, _, errors = entered(maas.report.main, str(tmp_path))
    assert (status, errors.count("\n")) == (2, 1)
    assert "holds no bundle yet" in errors


def test_cards_show_the_line_and_the_checkpoint_when_a_notebook_does(line):
    shown = line._repr_html_()
    for wanted in ("train", "compress", "export", "verify", line.version.uri, str(line.bundle.folder)):
        assert wanted in shown
    shown = line.checkpoint._repr_html_()
    assert f"{line.checkpoint.record.best_epoch + 1} of 4" in shown
    assert str(line.checkpoint.record.metrics["accuracy"]) in shown
