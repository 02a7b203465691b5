"""A server of a process of its own, as a user starts it."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def served(model: str, folder: Path) -> Iterator[tuple[str, int]]:
    """Yields the URL and the process id of `python -m maas.serve` on a free port; SIGTERM ends it."""
    command = [sys.executable, "-m", "maas.serve", f"model={model}", "port=0"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield re.search(r"http://\S+", process.stdout.readline())[0], process.pid
        finally:
            process.terminate()
            assert process.wait(timeout=30) == 0
