"""Tutorials and the page on coming from elsewhere: every snippet runs, and prints what its page says.

Snippets run in the order of their page, in a folder of their own.
A block of ```yaml is a file that is named in its first line. A block of ```sh that begins with `maas serve` starts a
server, which ends with the page; addresses of it are replaced by those of a free port.
"""

import contextlib
import doctest
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
TUTORIALS = sorted(path for path in (ROOT / "docs/tutorials").glob("*.md") if not path.name.endswith(".zh.md"))
PAGES = [*TUTORIALS, ROOT / "docs/coming_from.md"]
BLOCK = re.compile(r"^```(python|sh|yaml)\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
LIKE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
ADDRESS = "localhost:8080"


class Snippet(NamedTuple):
    language: str
    code: str
    printed: str


def snippets(page: Path) -> list[Snippet]:
    return [Snippet(*block.groups("")) for block in BLOCK.finditer(page.read_text(encoding="utf-8"))]


def environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


@contextlib.contextmanager
def served(command: str, folder: Path) -> Iterator[str]:
    words = [sys.executable, "-m", "maas", *command.split()[1:], "port=0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=folder, env=environment()) as process:
        try:
            yield re.search(r"http://(\S+?:\d+)", process.stdout.readline())[1]
        finally:
            process.terminate()


class Reader:
    """Somebody who types what a page says."""

    def __init__(self, folder: Path, servers: contextlib.ExitStack) -> None:
        self.folder, self.servers = folder, servers
        self.names: dict[str, object] = {}
        self.address = ADDRESS

    def printed(self, snippet: Snippet) -> str:
        if snippet.language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(snippet.code, self.names)
            return out.getvalue()
        if snippet.language == "yaml":
            name = re.match(r"# (\S+\.yaml)\n", snippet.code)[1]
            (self.folder / name).write_text(snippet.code, encoding="utf-8")
            return ""
        if snippet.code.startswith("maas serve"):
            self.address = self.servers.enter_context(served(snippet.code, self.folder))
            return ""
        command = ["sh", "-ec", snippet.code.replace(ADDRESS, self.address)]
        run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder, env=environment())
        assert run.returncode == 0, run.stderr
        return run.stdout


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_snippets_print_what_their_page_says_when_they_are_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = snippets(page)
    assert sum(bool(one.printed) for one in found) >= 2
    with contextlib.ExitStack() as servers:
        reader = Reader(tmp_path, servers)
        for snippet in found:
            printed = reader.printed(snippet)
            if snippet.printed:
                assert doctest.OutputChecker().check_output(snippet.printed, printed, LIKE), printed
