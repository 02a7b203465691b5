"""docs/glossary.md holds each term once, with a place that exists; the words that it replaced are gone from names."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = re.findall(
    r"^\| (?!term|-)(.+?) \| (.+) \| `(.+)` \|$", (ROOT / "docs/glossary.md").read_text("utf-8"), flags=re.MULTILINE
)
TERMS = [term for term, _, _ in ROWS]


def place_of(path: str) -> tuple[Path | None, str]:
    """Returns the file of the longest module in an import path, and the rest of the path."""
    parts = path.split(".")
    for count in range(len(parts), 0, -1):
        stem = ROOT.joinpath(*parts[:count])
        for file in (stem.with_suffix(".py"), stem / "__init__.py"):
            if file.is_file():
                return file, ".".join(parts[count:])
    return None, path


def test_glossary_has_each_term_once_when_it_is_read():
    lines = [line for line in (ROOT / "docs/glossary.md").read_text("utf-8").splitlines() if line.startswith("| ")]
    assert len(ROWS) == sum(not line.startswith("| term") for line in lines) > 50
    assert not [term for term, count in Counter(TERMS).items() if count > 1]


@pytest.mark.parametrize(("term", "meaning", "path"), ROWS, ids=TERMS)
def test_term_lives_where_the_glossary_says_when_its_place_is_opened(term, meaning, path):
    file, name = place_of(path)
    assert file, path
    defined = {getattr(node, "name", None) for node in ast.parse(file.read_text(encoding="utf-8")).body}
    defined |= {
        target.id
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        for target in (node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)])
        if isinstance(target, ast.Name)
    }
    assert not name or name in defined, path
    assert meaning.endswith(".")
    assert meaning.count(". ") == 0, "one sentence"
