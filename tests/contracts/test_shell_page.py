"""Every snippet of the page on the shell is run beside a bundle `sentiment`, and prints what the page says."""

import doctest
import os
import subprocess
import sys
from pathlib import Path

from tests.contracts.test_protocol_pages import BLOCK, LIKE, ROOT


def test_snippets_print_what_the_page_says_when_they_are_run(bundles, tmp_path):
    bundles.text_bundle(tmp_path / "sentiment")
    page = (ROOT / "docs/shell.md").read_text(encoding="utf-8")
    blocks = [match.groups("") for match in BLOCK.finditer(page)]
    assert len(blocks) == 4
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    for _, code, printed in blocks:
        command = ["sh", "-ec", code]
        run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
        assert run.returncode == 0, run.stderr
        if printed:
            assert doctest.OutputChecker().check_output(printed, run.stdout, LIKE), run.stdout
