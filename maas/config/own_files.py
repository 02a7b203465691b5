"""The user's own files that parts of a recipe are made of: whoever edits one of them does other work.

Imports are read off the source: what else this process has imported, and what a function has yet to import, makes no
difference. Nothing is imported. Files that code reads, such as tables of weights, are not covered.
"""

import ast
import importlib.util
import sys
import sysconfig
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from maas.config.part import imported

INSTALLED = frozenset({"site-packages", "dist-packages"})
"""Folders of installed packages. What is installed editable lies elsewhere, and is the user's own."""
PYTHON = tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib"))
OURS = __name__.partition(".")[0]
WHOLE = "*"
"""In place of a submodule's name: all of them. A package may import by names that are computed."""


@dataclass(frozen=True)
class Located:
    """Where a module lies.

    Args:
        file: its source; None for a namespace package, what is built in, and what is nowhere.
        folders: where its submodules are sought; none where it is no package.
    """

    file: Path | None
    folders: tuple[Path, ...] = ()

    @property
    def is_own(self) -> bool:
        """Whether it is the user's: neither installed nor a part of Python."""
        places = (self.file,) if self.file else self.folders
        return bool(places) and all(map(_is_own, places))


def own_files_of_parts(targets: Collection[str]) -> dict[str, Path]:
    """Returns the files of the modules that hold parts, and of all own modules that these import, one by another.

    A package that imports by computed names, or an asterisk, is covered whole. maas itself is left out.

    Args:
        targets: import paths of parts.

    Returns:
        Module → file, sorted by module.

    Raises:
        ConfigError: a part cannot be imported.
    """
    parts = [imported(target) for target in targets]
    written = {getattr(part, "__module__", None) for part in parts}
    known = {name: located(name).file for name in written if name in sys.modules and not _is_ours(name)}
    named = [name for target, part in zip(targets, parts, strict=True) for name in _names(target, part)]
    files = {name: file for name, file in known.items() if file is not None and file.is_file()}
    found = files | own_files_of_modules(named)
    return dict(sorted(found.items()))


def own_files_of_modules(modules: Iterable[str]) -> dict[str, Path]:
    """Returns the files of those modules that are the user's own, and of all own modules that they import.

    Args:
        modules: names, some of which may be no modules.

    Returns:
        Module → file, sorted by module.
    """
    found, seen, waiting = dict[str, Path](), {""}, list(modules)
    while waiting:
        name = waiting.pop()
        if name in seen or _is_ours(name):
            continue
        seen.add(name)
        waiting.append(name.rpartition(".")[0])  # importing a submodule imports its package before
        if name.endswith(f".{WHOLE}"):
            waiting += _submodules(name.removesuffix(f".{WHOLE}"))
            continue
        place = located(name)
        if place.file is not None and place.is_own and place.file.is_file():
            found[name] = place.file
            waiting += _imports(place.file, name if place.folders else name.rpartition(".")[0])
    return dict(sorted(found.items()))


def located(name: str) -> Located:
    """Finds a module, those that were imported first; it imports nothing."""
    module = sys.modules.get(name)
    if module is not None:
        file = getattr(module, "__file__", None)
        return Located(Path(file) if file else None, tuple(map(Path, getattr(module, "__path__", ()))))
    parent, _, tail = name.rpartition(".")
    folders = located(parent).folders if parent else tuple(map(Path, sys.path))
    spec = PathFinder.find_spec(name, list(map(str, folders))) if parent else _top_level(name)
    if spec is None:
        return Located(None)
    if not spec.has_location:  # a namespace package, or built in
        is_package = spec.submodule_search_locations is not None
        return Located(None, tuple(one / tail for one in folders if (one / tail).is_dir()) if is_package else ())
    return Located(Path(str(spec.origin)), tuple(map(Path, spec.submodule_search_locations or ())))


def _top_level(name: str) -> Any:
    """Returns the spec of a module outside of packages, by whatever finds modules in this process."""
    finders = (finder for finder in sys.meta_path if hasattr(finder, "find_spec"))
    return next(filter(None, (finder.find_spec(name, None) for finder in finders)), None)


def _names(target: str, part: object) -> list[str]:
    """Returns what a part's name goes through, and the modules that it and its bases were written in."""
    steps = target.replace(":", ".").split(".")
    through = [".".join(steps[:count]) for count in range(1, len(steps) + 1)]
    return through + [str(getattr(one, "__module__", "")) for one in (part, *getattr(part, "__mro__", ()))]


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] == OURS


def _is_own(path: Path) -> bool:
    is_python = any(place.is_relative_to(one) for place in (path, path.resolve()) for one in PYTHON)
    return not is_python and not INSTALLED & set(path.parts)


def _submodules(package: str) -> Iterator[str]:
    """Yields all modules below an own package."""
    place = located(package)
    for folder in place.folders if place.is_own else ():
        for file in folder.rglob("*.py"):
            steps = file.relative_to(folder).with_suffix("").parts
            yield ".".join([package, *(steps[:-1] if steps[-1] == "__init__" else steps)])


def _imports(file: Path, package: str) -> Iterator[str]:
    """Yields the names that a source file may import, wherever in it; some are no modules."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError):  # a compiled module, or one that could not be imported
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute("." * node.level + (node.module or ""), package)
            yield from (f"{base}.{one.name}" for one in node.names if base)
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield _absolute(first.value, package)
            elif package:
                yield f"{package}.{WHOLE}"


def _called(node: ast.Call) -> str:
    """Returns the last name of what is called."""
    return str(getattr(node.func, "attr", None) or getattr(node.func, "id", ""))


def _absolute(name: str, package: str) -> str:
    """Returns the full name of a module; empty where it would lie above all packages."""
    try:
        return importlib.util.resolve_name(name, package or None)
    except ImportError:
        return ""
