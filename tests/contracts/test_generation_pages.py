"""Every snippet of the pages on texts is run beside a bundle `assistant`, and prints what its page says."""

import doctest
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.test_protocol_pages import BLOCK, LIKE, ROOT, missing_packages

PAGES = ["generating", pytest.param("handover", marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def assistant(bundles, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    bundles.generating_bundle(folder / "assistant")
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_snippets_print_what_their_page_says_when_they_are_run(page, assistant):
    blocks = [match.groups("") for match in BLOCK.finditer((ROOT / f"docs/{page}.md").read_text(encoding="utf-8"))]
    assert len(blocks) > 1
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    for language, code, printed in blocks:
        if language == "python" and (missing := missing_packages(code)):
            pytest.skip(f"{', '.join(missing)} is not installed")
        command = [sys.executable, "-c", code] if language == "python" else ["sh", "-ec", code]
        run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=assistant, env=environment)
        assert run.returncode == 0, run.stderr
        if printed:
            assert doctest.OutputChecker().check_output(printed, run.stdout, LIKE), run.stdout
