"""The rules of the house, kept by reading the files."""

import ast
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "maas").rglob("*.py"))
NAMES = [path.relative_to(ROOT).as_posix() for path in MODULES]
HIDDEN_IMPORTS = {
    ("maas/serving/observers/chosen.py", "maas.serving.observers.tracing"),  # an extra, once an exporter is set
    ("maas/bench.py", "maas.evidence.latency_plots"),  # matplotlib is an extra; a load test needs none
    ("maas/cli.py", "maas.sweeping.sweep"),  # it brings torch and mlflow; faults of a recipe are reported before that
    ("maas/lifecycle/smaller_decoder.py", "maas.lifecycle.given_decoder"),  # transformers is an extra
    ("maas/compression/proposing.py", "maas.searching.studies"),  # optuna is an extra, and takes its time
    ("maas/sweeping/sweep.py", "maas.sweeping.search"),  # optuna is an extra; a sweep over lists needs none
    ("maas/opening.py", "maas.registry.catalogue.versions"),  # mlflow takes seconds, and need not be installed
    ("maas/registry/reading/replying.py", "maas.registry.catalogue"),  # likewise
    ("maas/serve.py", "maas.serving.transports.process"),  # it brings ONNX Runtime, which a supervisor does not need
    ("maas/serve.py", "maas.serving.workers.supervisor"),  # a single process needs none
    ("maas/serving/transports/assembling.py", "maas.serving.transports.grpc"),  # gRPC is an extra
    ("maas/serving/protocols/graphql/operations.py", "maas.serving.protocols.graphql.execution"),  # an extra
    ("maas/runtime/bundle.py", "maas.runtime.generation"),  # only a bundle that generates needs jinja2
    ("maas/serving/repository/opening.py", "maas.serving.repository.generating"),  # likewise
    ("maas/runtime/generation/generator.py", "maas.runtime.generation.grammars"),  # llguidance is an extra
    (
        "maas/run.py",
        "maas.inspecting.command",
    ),  # pandas and datasets take seconds; a recipe needs neither to be refused
    ("maas/predict.py", "rich.console"),  # only a terminal needs it
    ("maas/predict.py", "rich.progress"),  # likewise
    ("maas/shell/runs_and_models.py", "maas.registry.catalogue.listing"),  # mlflow takes seconds to import
    ("maas/runtime/pyfunc.py", "pandas"),  # only MLflow calls it, and brings pandas along
}
"""Imports inside functions: optional heavy packages at the edge, each with its reason."""


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported_inside_functions(path: Path) -> set[tuple[str, str]]:
    found = set()
    for function in ast.walk(tree(path)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            for node in ast.walk(function):
                if isinstance(node, ast.Import):
                    found |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    found.add(node.module)
    return {(path.relative_to(ROOT).as_posix(), name) for name in found}


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_layers_hold_when_import_linter_reads_them():
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout
    assert " 0 broken" in done.stdout


def test_no_import_hides_in_a_function_when_it_is_not_one_of_the_known_ones():
    assert set().union(*map(imported_inside_functions, MODULES)) == HIDDEN_IMPORTS


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_module_says_what_it_is_when_it_is_opened(path):
    assert ast.get_docstring(tree(path))


def test_no_drawer_is_opened_when_modules_are_named():
    drawers = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers", "engine", "base_utils"}
    assert not {path for path in MODULES if drawers & {path.stem, path.parent.name}}


def test_no_assert_is_left_when_the_package_is_read():
    found = [
        name
        for name, path in zip(NAMES, MODULES, strict=True)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Assert)
    ]
    assert not found


def test_no_pickle_is_loaded_when_a_bundle_could_be_opened():
    sides = ("runtime", "serving", "registry", "exporting", "compression", "evidence")
    names = {"pickle", "cloudpickle", "joblib", "dill", "shelve"}
    for path in MODULES:
        if path.relative_to(ROOT / "maas").parts[0] in sides:
            for node in ast.walk(tree(path)):
                modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not {module.partition(".")[0] for module in modules} & names, path
                allows = isinstance(node, ast.keyword) and node.arg == "allow_pickle"
                assert not (allows and node.value.value), path


def test_tests_mirror_the_package_when_folders_are_compared():
    rooms = {path.parent.relative_to(ROOT / "maas") for path in MODULES}
    tests = {path.parent.relative_to(ROOT / "tests/unit") for path in (ROOT / "tests/unit").rglob("test_*.py")}
    assert tests <= rooms


def test_no_test_hides_another_when_names_are_listed():
    for path in (ROOT / "tests").rglob("test_*.py"):
        names = [
            node.name
            for node in ast.walk(tree(path))
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        ]
        assert not [name for name, count in Counter(names).items() if count > 1], path


def test_no_tracked_file_names_a_path_of_this_machine_when_files_are_read():
    needles = [f"/{name}/".encode() for name in ("work", "root")]
    found = [
        (path.relative_to(ROOT).as_posix(), needle)
        for path in tracked()
        for needle in needles
        if needle in path.read_bytes()
    ]
    assert not found


def test_notebooks_are_stripped_of_outputs_when_there_are_any():
    for path in tracked():
        if path.suffix == ".ipynb":
            for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
                assert not cell.get("outputs"), path
                assert cell.get("execution_count") is None, path


def test_nothing_large_is_tracked_when_files_are_weighed():
    assert not [path for path in tracked() if path.stat().st_size > 1_000_000]
