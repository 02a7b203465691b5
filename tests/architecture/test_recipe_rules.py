"""How recipes and the command line are handled: typed sections, no global that is written, nothing private of Hydra."""

import ast
import re

import pytest

from tests.architecture.measure_house import HERE, Module, modules_of

MODULES = modules_of(HERE)
WRITES = {"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort", "__setitem__", "__delitem__"}
SWAPPED = {"ConfigStore", "GlobalHydra"}
"""Hydra's global stores: what one recipe puts there, the next one finds."""
PUT_BACK = {
    ("maas/config/hydra_composing.py", "hydra.core.global_hydra.GlobalHydra"),  # a caller's own application is put back
}


def argv_writes(module: Module) -> list[str]:
    """Returns the places where `sys.argv` is assigned, deleted or changed."""
    found = []
    for node in ast.walk(module.tree):
        target = node.value if isinstance(node, ast.Subscript) else node
        is_argv = isinstance(target, ast.Attribute) and ast.unparse(target) == "sys.argv"
        is_written = is_argv and isinstance(node.ctx, ast.Store | ast.Del)
        called = node.func if isinstance(node, ast.Call) else None
        is_changed = (
            isinstance(called, ast.Attribute) and called.attr in WRITES and ast.unparse(called.value) == "sys.argv"
        )
        if is_written or is_changed:
            found.append(f"{module.name}:{node.lineno}")
    return found


def private_hydra(module: Module) -> list[str]:
    """Returns what a module imports of Hydra's inside, or names of its global stores."""
    found = []
    for node in ast.walk(module.tree):
        names = [one.name for one in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{name}" for name in names]
        found += [
            name for name in names if name.startswith("hydra.") and any(part[0] == "_" for part in name.split("."))
        ]
        found += [name for name in names if name.rpartition(".")[2] in SWAPPED]
    return found


def test_no_section_is_any_when_the_recipe_is_read():
    defined = [node for module in MODULES for node in module.tree.body if getattr(node, "name", "") == "RunConfig"]
    assert len(defined) == 1
    fields = [node for node in defined[0].body if isinstance(node, ast.AnnAssign)]
    assert len(fields) > 20
    assert not [ast.unparse(field) for field in fields if re.search(r"\bAny\b", ast.unparse(field.annotation))]


def test_command_line_is_read_and_never_written_when_modules_run():
    assert not {module.name for module in MODULES if argv_writes(module)}


def test_hydra_is_used_by_its_public_names_when_modules_import_it():
    assert not {(module.name, name) for module in MODULES for name in private_hydra(module)} - PUT_BACK


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("sys.argv = [1]", 1),
        ("sys.argv[1:] = []", 1),
        ("del sys.argv[0]", 1),
        ("verb = sys.argv.pop(1)", 1),
        ("sys.argv += [1]", 1),
        ("given = sys.argv[1:]", 0),
        ("argv = list(sys.argv)", 0),
    ],
)
def test_write_of_the_command_line_is_found_when_there_is_one(source, count):
    assert len(argv_writes(Module("a.py", source))) == count


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("from hydra._internal.utils import get_args_parser", 1),
        ("import hydra._internal.hydra", 1),
        ("from hydra.core.config_store import ConfigStore", 1),
        ("from hydra.core.global_hydra import GlobalHydra", 1),
        ("import hydra\nfrom hydra.core.hydra_config import HydraConfig", 0),
    ],
)
def test_inside_of_hydra_is_found_when_it_is_imported(source, count):
    assert len(private_hydra(Module("a.py", source))) == count
