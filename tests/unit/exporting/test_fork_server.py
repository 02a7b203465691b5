"""Forks of a process that has imported a module: each is as new as a process of its own."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from maas.exporting.fork_server import ForkServer

MODULE = """
import os, signal, sys

SEEN = []


def main(arguments=None):
    SEEN.append(1)
    what, *rest = sys.argv[1:] if arguments is None else arguments
    if what == "show":
        print(len(SEEN), os.getcwd(), os.environ.get("FORKED"), "/extra" in sys.path, os.getppid(), *rest)
    elif what == "exit":
        sys.exit(rest[0] if len(rest) > 1 else int(rest[0]))
    elif what == "raise":
        raise ValueError("of its own")
    elif what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "kill server":
        os.kill(os.getppid(), signal.SIGKILL)
    elif what == "sleep":
        import time
        open(rest[0], "w").write(str(os.getpid()))
        time.sleep(60)


if __name__ == "__main__":
    main()
"""


@pytest.fixture
def server(tmp_path, monkeypatch):
    (tmp_path / "forked_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    made = ForkServer("forked_module", preloaded=("json", "not_installed_anywhere"))
    yield made
    if made._server:
        made._server.end()


def shown(server: ForkServer, *words: str) -> list[str]:
    status, printed = server.run(["show", *words])
    assert status == 0
    return printed.split()


def test_each_run_is_new_when_one_server_makes_several(server):
    first, second = shown(server, "a"), shown(server, "b")
    assert first[0] == second[0] == "1"  # what a run leaves in the module is gone
    assert first[4] == second[4] == str(server._server.process.pid)
    assert (first[-1], second[-1]) == ("a", "b")


def test_folder_variables_and_path_are_those_of_now_when_they_changed(server, tmp_path, monkeypatch):
    assert shown(server)[1:4] == [str(Path.cwd()), "None", "False"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FORKED", "yes")
    monkeypatch.syspath_prepend("/extra")
    assert shown(server)[1:4] == [str(tmp_path), "yes", "True"]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["exit", "3"], 3, ""),
        (["exit", "what is wrong", "as text"], 1, "what is wrong\n"),
        (["raise"], 1, "ValueError: of its own\n"),
        (["die"], -signal.SIGKILL, ""),
    ],
)
def test_status_and_words_are_those_of_a_process_when_it_fails(server, arguments, status, words):
    found, printed = server.run(arguments)
    assert found == status
    assert printed.endswith(words)
    assert shown(server)[0] == "1"


def test_server_is_started_again_when_it_was_killed(server):
    before = shown(server)[4]
    os.kill(int(before), signal.SIGKILL)
    server._server.process.wait()
    assert shown(server)[4] != before
    assert server.run(["kill server"])[0] == -signal.SIGKILL  # its fork's status is lost
    assert shown(server)[0] == "1"


def test_nothing_goes_on_when_a_run_is_interrupted(server, tmp_path):
    started = tmp_path / "started"

    def interrupt() -> None:
        for _ in range(3000):
            if started.is_file() and started.read_text():
                break
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    shown(server)
    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        server.run(["sleep", str(started)])
    for _ in range(500):  # the system ends it in its own time
        if not is_running(int(started.read_text())):
            break
        time.sleep(0.01)
    assert not is_running(int(started.read_text()))
    assert shown(server)[0] == "1"


def test_interpreter_is_started_when_no_server_can_be(tmp_path, monkeypatch):
    (tmp_path / "forked_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "platform", "elsewhere")
    server = ForkServer("forked_module")
    assert shown(server, "a")[-1] == "a"
    assert server._server is None
    assert server.run(["exit", "3"]) == (3, "")


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
