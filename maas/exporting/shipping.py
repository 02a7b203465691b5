"""The runtime that travels with a bundle, for MLflow environments that hold no maas.

An environment that MLflow makes from a bundle's own requirements has what PyPI has, and maas is not there. MLflow puts
the archive of `code` in front of `sys.path` and imports the loader, which takes an installed maas where there is one:
the archive holds the package a folder deeper, so that it hides no other.
"""

import ast
import zipfile
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

ARCHIVE = "code/maas_runtime.zip"
LOADER = "maas_bundle_loader"
"""Module that MLflow imports; at the root of the archive."""

INSIDE = "shipped"
"""Folder of the archive that holds the package."""

ALWAYS_IMPORTED = ("__init__.py", "deferred_transformers.py")
"""Files of the package that any of its modules brings along."""

SOURCE = f'''"""Opens a bundle for MLflow with the maas that is installed, else with the runtime that came along."""

import sys
from importlib.util import find_spec
from pathlib import Path

installed = find_spec("maas")
if installed is None or installed.origin is None:  # a mere folder of that name is none
    sys.path.append(str(Path(__file__).parent / "{INSIDE}"))

from maas.runtime.pyfunc import _load_pyfunc  # noqa: E402 - found by the line above

__all__ = ["_load_pyfunc"]
'''


def ship_runtime(folder: Path) -> None:
    """Writes the loader, the runtime and their licence as one archive; the same sources give the same bytes.

    Args:
        folder: folder of the bundle.
    """
    archive = folder / ARCHIVE
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:  # deflate gives other bytes with another zlib
        for name, content in sorted({f"{LOADER}.py": SOURCE.encode(), **dict(_sources())}.items()):
            entry = zipfile.ZipInfo(name)  # dated 1980
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            file.writestr(entry, content)


def _sources() -> Iterator[tuple[str, bytes]]:
    package = Path(__file__).parents[1]
    for path in {*(package / name for name in ALWAYS_IMPORTED), *_closure(package)}:
        yield f"{INSIDE}/maas/{path.relative_to(package).as_posix()}", path.read_bytes()
    yield "LICENSE", _licence(package)


@cache  # a process that exports several models looks once
def _closure(package: Path) -> frozenset[Path]:
    """Returns the files of the runtime, and those of the package that they import, directly or not."""
    waiting, found = list(package.glob("runtime/**/*.py")), set[Path]()
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imported(path, package)
    return frozenset(found)


def _imported(path: Path, package: Path) -> Iterator[Path]:
    """Yields the files of the modules of the package that a file imports, and of the folders that they lie in."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(f"{package.name}."):
            below = node.module.split(".")[1:]
            names = [below, *([*below, alias.name] for alias in node.names)]
            for parts in [*names, *(below[:size] for size in range(1, len(below)))]:
                module = package.joinpath(*parts)
                yield from (file for file in (module.with_suffix(".py"), module / "__init__.py") if file.is_file())


def _licence(package: Path) -> bytes:
    """Returns the text of the licence, of a checkout or of an installed package."""
    in_checkout = package.parent / "LICENSE"
    if in_checkout.is_file():
        return in_checkout.read_bytes()
    try:
        return (distribution("maas").read_text("licenses/LICENSE") or "Apache-2.0\n").encode()
    except PackageNotFoundError:
        return b"Apache-2.0\n"
