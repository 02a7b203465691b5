"""`python -m maas.serve`: its arguments, and how a registered model is found."""

import subprocess
import sys
from pathlib import Path

import pytest

from maas import serve
from maas.errors import ConfigError, RegistryError
from maas.serving.server import ServerSettings


def test_settings_are_read_with_their_types():
    found = serve.settings_from(["model=a=b", "port=0", "threads=2", "access_log=true"])
    assert found == ServerSettings(model="a=b", port=0, threads=2, access_log=True)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("prot=1", "prot is not a setting of the server. Did you mean port?"),
        ("zzz=1", "zzz is not a setting of the server. There is model, host, port"),
        ("port=abc", "port is 'abc'; it must be a port in 0 to 65535"),
        ("port=70000", "port is '70000'; it must be a port in 0 to 65535"),
        ("threads=0", "threads is '0'; it must be a number of threads from 1 to 256"),
        ("threads=1000000", "threads is '1000000'; it must be a number of threads from 1 to 256"),
        ("batch_size=1048577", "batch_size is '1048577'; it must be a number of rows from 1 to 1048576"),
        ("max_queue=1.5", "max_queue is '1.5'; it must be a whole number, 1 or more"),
        ("access_log=maybe", "access_log is 'maybe'; Expected `bool`"),
        ("runs/x", "'runs/x' is not key=value. Write e.g. model=runs/x."),
    ],
)
def test_wrong_argument_is_named_with_what_is_right(argument, message):
    with pytest.raises(ConfigError) as caught:
        serve.settings_from(["model=x", argument])
    assert message in str(caught.value)


def test_all_faults_are_told_at_once():
    with pytest.raises(ConfigError) as caught:
        serve.settings_from(["prot=1", "threads=0"])
    assert len(str(caught.value).splitlines()) == 3
    assert "model is missing" in str(caught.value)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["model=x", "-h"]])
def test_help_shows_every_setting(arguments, capsys):
    serve.main(arguments)
    shown = capsys.readouterr().out
    assert shown.startswith("Serves a model over HTTP.")
    assert all(f"\n    {name} " in shown for name in ServerSettings.__dataclass_fields__)


def test_folder_without_a_bundle_is_one_line_and_status_2(tmp_path):
    command = [sys.executable, "-m", "maas.serve", f"model={tmp_path}", "port=0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "holds no manifest.json; name the folder of a bundle" in done.stderr


def stand_in(folder: Path, script: str) -> str:
    """Returns an interpreter that answers as `maas.registry.resolve` would."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_registered_model_is_found_by_another_process(tmp_path, monkeypatch):
    script = """test "$1 $2 $3" = "-m maas.registry.resolve models:/m@champion" || exit 9
echo "a line that something else printed"
echo '{"folder": "/f", "name": "m", "version": "3"}'"""
    monkeypatch.setattr(sys, "executable", stand_in(tmp_path, script))
    assert serve.resolve("models:/m@champion") == serve.Resolved("/f", "m", "3")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'No model m is registered.' >&2; exit 2", "^No model m is registered.$"),
        ("echo Traceback >&2; echo 'ValueError: x' >&2; exit 1", "models:/m/1 could not be resolved: ValueError: x"),
        ("exit 7", "exit status 7, and nothing said"),
        ("echo nonsense", "resolved to 'nonsense', which cannot be read"),
    ],
)
def test_failed_resolution_is_told_in_one_line(tmp_path, monkeypatch, script, message):
    monkeypatch.setattr(sys, "executable", stand_in(tmp_path, script))
    with pytest.raises(RegistryError, match=message):
        serve.resolve("models:/m/1")
