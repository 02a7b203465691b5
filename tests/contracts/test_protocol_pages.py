"""Every snippet of docs/client.md and docs/protocols is run against a real server, and prints what its page says.

A page begins with `<!-- models: array text -->`: the bundles of tests/unit/serving/bundles.py that its server has.
Blocks of ```python and ```sh are run, each in a process of its own, with `localhost:8080` as the server's address and
`localhost:8081` as that for gRPC; a block of ```text that follows is what it prints; `...` there is anything.
"""

import ast
import contextlib
import doctest
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
MODELS = re.compile(r"\A<!-- models: (.+) -->\n")
LIKE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Snippet(NamedTuple):
    page: Path
    language: str
    code: str
    printed: str


def snippets() -> dict[str, Snippet]:
    return {
        f"{page.stem}-{number}": Snippet(page, *block.groups(""))
        for page in [ROOT / "docs/client.md", *sorted((ROOT / "docs/protocols").glob("*.md"))]
        for number, block in enumerate(BLOCK.finditer(page.read_text(encoding="utf-8")), start=1)
    }


SNIPPETS = snippets()


def missing_packages(code: str) -> list[str]:
    """Returns the packages that a snippet imports and that are not installed."""
    nodes = list(ast.walk(ast.parse(code)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    roots = {name.partition(".")[0] for name in names}
    return sorted(root for root in roots if importlib.util.find_spec(root) is None)


@pytest.fixture(scope="module")
def addresses_of(tmp_path_factory, bundles) -> Iterator[Callable[[Path], dict[str, str]]]:
    """Returns the addresses of a server with a page's models, by those of the page; one is started for each page."""
    with contextlib.ExitStack() as stack:

        @lru_cache
        def addresses_of(page: Path) -> dict[str, str]:
            folder = tmp_path_factory.mktemp(page.stem)
            names = MODELS.match(page.read_text(encoding="utf-8"))[1].split()
            models = [f"model={getattr(bundles, f'{name}_bundle')(folder / name)}" for name in names]
            return stack.enter_context(served(models))

        yield addresses_of


@contextlib.contextmanager
def served(models: list[str]) -> Iterator[dict[str, str]]:
    command = [sys.executable, "-m", "maas.serve", "port=0", "grpc_port=0", *models]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            lines = [process.stdout.readline() for _ in range(4)]
            address = re.search(r"http://(\S+?:\d+)", lines[0])[1]
            yield {"localhost:8080": address, "localhost:8081": re.fullmatch(r"gRPC: (\S+:\d+)\n", lines[3])[1]}
        finally:
            process.terminate()


@pytest.mark.parametrize("name", SNIPPETS)
def test_snippet_prints_what_its_page_says_when_it_is_run(name, addresses_of, tmp_path):
    page, language, code, printed = SNIPPETS[name]
    if language == "python" and (missing := missing_packages(code)):
        pytest.skip(f"{', '.join(missing)} is not installed")
    for written, address in addresses_of(page).items():
        code = code.replace(written, address)
    command = [sys.executable, "-c", code] if language == "python" else ["sh", "-ec", code]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert run.returncode == 0, run.stderr
    if printed:
        assert doctest.OutputChecker().check_output(printed, run.stdout, LIKE), run.stdout
