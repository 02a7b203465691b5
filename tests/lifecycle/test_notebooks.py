"""Every notebook runs from top to bottom."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
LONG = {"03_compress"}


@pytest.mark.filterwarnings("default")  # jupyter's own plumbing warns of its own age
@pytest.mark.parametrize(
    "path", [pytest.param(one, marks=[pytest.mark.slow] * (one.stem in LONG), id=one.stem) for one in NOTEBOOKS]
)
def test_notebook_runs(path: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
