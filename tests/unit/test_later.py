"""Names that are imported when they are first used."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from maas.later import imported_later

WITH_TABLES = ("maas.files", "maas.runtime.later", "maas.serving.later")


def names_for_types(module: str) -> dict[str, str]:
    """Returns what a module imports for checkers of types alone: modules by name."""
    source = Path(importlib.import_module(module).__file__).read_text(encoding="utf-8")
    blocks = [node for node in ast.parse(source).body if isinstance(node, ast.If)]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: node.module for node in imports for alias in node.names}


@pytest.mark.parametrize("module", WITH_TABLES)
def test_table_names_what_checkers_of_types_see(module):
    table = importlib.import_module(module)._PLACES
    assert table == names_for_types(module)
    assert set(table) <= set(importlib.import_module(module).__all__)


@pytest.mark.parametrize("module", WITH_TABLES)
def test_every_name_is_that_of_its_place_when_it_is_used(module):
    holder = importlib.import_module(module)
    for name, place in holder._PLACES.items():
        assert getattr(holder, name) is getattr(importlib.import_module(place), name)
        assert name in vars(holder)


def test_nothing_is_imported_when_no_name_is_used():
    code = "import sys, maas.serving.later as later; print('prometheus_client' in sys.modules)\n"
    code += "later.generate_latest; print('prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_unknown_name_is_refused_when_it_is_used():
    with pytest.raises(AttributeError, match="module 'maas.later' has no attribute 'cosine'"):
        imported_later("maas.later", {"sqrt": "math"})("cosine")
