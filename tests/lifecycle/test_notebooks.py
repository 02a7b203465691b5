"""Every notebook runs from top to bottom."""

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
LONG = {"03_compress"}


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NotebookClient]:
    """One process for all notebooks, each of which would take longer to import maas than to run."""
    resources = {"metadata": {"path": tmp_path_factory.mktemp("kernel")}}
    client = NotebookClient(nbformat.v4.new_notebook(), timeout=240, kernel_name="python3", resources=resources)
    with client.setup_kernel():
        yield client


@pytest.mark.filterwarnings("default")  # jupyter's own plumbing warns of its own age
@pytest.mark.parametrize(
    "path", [pytest.param(one, marks=[pytest.mark.slow] * (one.stem in LONG), id=one.stem) for one in NOTEBOOKS]
)
def test_notebook_runs(path: Path, kernel: NotebookClient, tmp_path: Path) -> None:
    kernel.nb = nbformat.read(path, as_version=4)
    anew = nbformat.v4.new_code_cell(f"%reset -f\n%cd -q {tmp_path}")  # none of the names of the notebook before
    kernel.nb.cells.insert(0, anew)
    kernel.reset_execution_trackers()
    for index, cell in enumerate(kernel.nb.cells):
        kernel.execute_cell(cell, index)
    assert kernel.code_cells_executed == sum(cell.cell_type == "code" for cell in kernel.nb.cells)
