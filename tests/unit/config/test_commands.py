"""The command that starts a program again is the one by which it was started."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from maas.config import command_again
from maas.errors import ConfigError


@pytest.fixture
def started(monkeypatch):
    """Makes this process look as if it had been started by a command."""

    def start(spec: str | None, *argv: str) -> None:
        main = ModuleType("__main__")
        main.__spec__ = spec and SimpleNamespace(name=spec)
        monkeypatch.setitem(sys.modules, "__main__", main)
        monkeypatch.setattr(sys, "argv", list(argv))

    return start


def test_module_is_named_when_the_program_is_one(started):
    started("maas.train", "/anywhere/maas/train.py", "recipe=mine.yaml", "-cd", "parts")
    assert command_again(1) == ([sys.executable, "-m", "maas.train", "recipe=mine.yaml", "-cd", "parts"], Path.cwd())


def test_script_is_named_by_its_whole_path_when_the_program_is_a_file(started, monkeypatch, tmp_path):
    (tmp_path / "mine.py").touch()
    monkeypatch.chdir(tmp_path)
    started(None, "mine.py", "--fast")
    assert command_again(1) == ([sys.executable, str(tmp_path / "mine.py"), "--fast"], tmp_path)


@pytest.mark.parametrize("argv", [["-c"], ["-"], [""]])
def test_program_is_refused_when_nothing_can_start_it_again(started, monkeypatch, tmp_path, argv):
    monkeypatch.chdir(tmp_path)
    started(None, *argv)
    with pytest.raises(ConfigError, match="it was typed into Python"):
        command_again(1)
