"""Figures of a checkout that say how it reads: `python tests/architecture/measure_house.py [CHECKOUT] [--offenders]`.

It needs the standard library alone, so that any checkout can be measured by the same code; what is traced runs by the
checkout's own `.venv`, and `--static` leaves it out. The figures serve reading, not the other way round.

- Own hops, command → `Trainer.fit`: the distinct functions of maas on the stack when `Trainer.fit` is entered, in a
  real training (`python -m maas.train recipe=digits_mlp trainer.max_epochs=1`); bodies of modules aside.
- Own hops, request → preprocess: likewise when the processor's method for raw rows is entered, it included, for one
  `POST /predict` of one row; a task, a callback or a thread continues the stack that started it.
- Bare `Any`: parameters, fields and variables whose annotation is `Any` and nothing else; returned `Any`: functions
  whose result is annotated so.
- Broad excepts: `except`, `except Exception` and `except BaseException`, alone or in a tuple.
- Names with two meanings: public top-level classes, functions and constants of maas that two modules define, less
  `ALLOWED`.
- Home-made words: names that maas itself gives (classes, functions, parameters, variables, modules, keys of recipes)
  with a word that docs/glossary.md replaced by the field's, as `HOME_MADE` lists them.
- Home-made prose: lines of code, recipes and pages with an idiom that plain international English avoids (`PROSE`).
- Lines of a function: from the first statement after the docstring to the end. The median is over all functions.
- Files below 40 lines: `__init__.py` aside.
"""

import ast
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

HERE = Path(__file__).resolve().parents[2]
TRACER = Path(__file__).with_name("trace_hops.py")
PACKAGES = ("maas", "hydra_plugins")
SMALL_FILE = 40
BROAD = {"Exception", "BaseException"}
ALLOWED = {
    "main": ("", "an entry of the command line, in each module that is one"),
    "log": ("", "the module's logger"),
    "operations": ("serving/protocols/", "the contract of protocols: what a snapshot offers in each of them"),
    "perturbations": ("evidence/robustness/", "the contract of that folder: what may happen to a kind of input"),
}
"""Names that may be defined twice: the folder of maas in which (empty for everywhere), and why."""

HOME_MADE = {
    "answer": "prediction, scores; a postprocessor makes them",
    "batchkey": "bucket",
    "bench": "evaluator",
    "collate": "batch",
    "cutplan": "pruning plan",
    "dataplane": "repository, inference service",
    "dialect": "protocol",
    "drawup": "build the bundle",
    "elsewhere": "imported",
    "encodedinline": "on the event loop",
    "family": "task head",
    "feeds": "model inputs",
    "foreign": "imported",
    "givenup": "pruned trials",
    "guest": "custom module",
    "hunt": "search",
    "judge": "task metrics",
    "link": "applied pass",
    "patient": "recipe under check",
    "rehearsal": "dry run",
    "resumepoint": "training checkpoint",
    "rival": "baseline",
    "rung": "pruner",
    "share": "fraction",
    "stopwatch": "profiler",
    "workbench": "candidate builder",
    "workshop": "pass context",
}
"""Words and pairs of words that no name holds, singular and without separators, and what the field says."""

VERBS = {"maas/bench.py"}
"""Entries that are called as the field calls what they do, `maas bench`, though the word once meant something else."""

PROSE = re.compile(
    r"(?<![.`])(?<!def )\b(anew|borne|(go|goes|going|gone|went) on (with|from|where)|(hold|holds|held) (\S+ )?against|"
    r"of one's own|besides|tells?|telling|told|asks?|asking|asked|judges?|judged)\b(?![(`])",
    re.IGNORECASE,
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """A source file.

    Args:
        name: path below the checkout.
        source: its text.
    """

    name: str
    source: str

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.source)

    @property
    def lines(self) -> int:
        """How many lines it has."""
        return len(self.source.splitlines())

    @property
    def functions(self) -> Iterator[Function]:
        """All functions and methods, nested ones too."""
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    @property
    def public_names(self) -> Iterator[str]:
        """The classes, functions and constants that it defines at its top level for others."""
        for node in self.tree.body:
            if isinstance(node, ast.ClassDef | Function):
                names = [node.name]
            else:
                targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
                names = [target.id for target in targets if isinstance(target, ast.Name)]
            yield from (name for name in names if not name.startswith("_"))


def modules_of(root: Path) -> list[Module]:
    """Reads the packages of a checkout."""
    files = sorted(file for package in PACKAGES for file in (root / package).rglob("*.py"))
    return [Module(file.relative_to(root).as_posix(), file.read_text(encoding="utf-8")) for file in files]


def body_lines(function: Function) -> int:
    """Lines from a function's first statement after the docstring to its end; 0 where the docstring is all."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def is_any(annotation: ast.expr | None) -> bool:
    """Whether an annotation is `Any` and nothing else."""
    return annotation is not None and ast.unparse(annotation) in ("Any", "typing.Any")


def bare_any(module: Module) -> Iterator[str]:
    """Yields place and name of each parameter, field and variable that is annotated with `Any` alone."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.arg) and is_any(node.annotation):
            yield f"{module.name}:{node.lineno} {node.arg}"
        elif isinstance(node, ast.AnnAssign) and is_any(node.annotation):
            yield f"{module.name}:{node.lineno} {ast.unparse(node.target)}"


def returned_any(module: Module) -> Iterator[str]:
    """Yields place and name of each function whose result is annotated with `Any` alone."""
    return (f"{module.name}:{one.lineno} {one.name}" for one in module.functions if is_any(one.returns))


def broad_excepts(module: Module) -> Iterator[str]:
    """Yields the place of each clause that catches whatever comes."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            kinds = getattr(node.type, "elts", [node.type])
            if any(kind is None or ast.unparse(kind) in BROAD for kind in kinds):
                yield f"{module.name}:{node.lineno}"


def two_meanings(modules: list[Module]) -> dict[str, list[str]]:
    """Returns the public top-level names of maas that two modules define, with these modules."""
    places: dict[str, list[str]] = defaultdict(list)
    for module in modules:
        for name in set(module.public_names):
            folder = ALLOWED.get(name, (None, ""))[0]
            if folder is None or not module.name.startswith(f"maas/{folder}"):
                places[name].append(module.name)
    return {name: found for name, found in sorted(places.items()) if len(found) > 1}


def given_names(module: Module) -> Iterator[tuple[str, str]]:
    """Yields each name that a module gives to something, with its place."""
    if module.name not in VERBS:
        yield module.name, Path(module.name).stem
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef | Function):
            yield f"{module.name}:{node.lineno}", node.name
        elif isinstance(node, ast.arg):
            yield f"{module.name}:{node.lineno}", node.arg
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield f"{module.name}:{node.lineno}", node.id if isinstance(node, ast.Name) else node.attr


def keys_of_recipes(root: Path) -> Iterator[tuple[str, str]]:
    """Yields each part of the vocabulary and each key in it, and those of the recipes, with its place."""
    for file in sorted([*root.glob("conf/**/*.yaml"), *root.glob("recipes/*.yaml")]):
        name = file.relative_to(root).as_posix()
        yield name, file.stem
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            for key in re.findall(r"([a-z_]+):(?:\s|$)", line.partition("#")[0]):
                yield f"{name}:{number}", key


def home_made(root: Path, modules: list[Module]) -> list[str]:
    """Returns the names that hold a word of `HOME_MADE`, with their places."""
    named = [*(one for module in modules for one in given_names(module)), *keys_of_recipes(root)]
    return [f"{place} {name}" for place, name in dict.fromkeys(named) if HOME_MADE.keys() & set(words_of(name))]


def prose(root: Path) -> list[str]:
    """Returns the lines with an idiom of `PROSE`, with their places."""
    patterns = [f"{package}/**/*.py" for package in PACKAGES] + ["conf/**/*.yaml", "recipes/*.yaml", "docs/*.md"]
    return [
        f"{file.relative_to(root).as_posix()}:{number} {found.group()}"
        for pattern in patterns
        for file in sorted(root.glob(pattern))
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if (found := PROSE.search(line))
    ]


def words_of(name: str) -> list[str]:
    """Returns the words of a name in the singular, and each neighbouring pair: `_DrawUp` → draw, up, drawup."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    words = [re.sub(r"ies$", "y", word) for word in spaced.split("_") if word]
    single = [word if word in HOME_MADE else word.removesuffix("s") for word in words]
    return [*single, *(first + second for first, second in pairwise(single))]


def small_files(modules: list[Module]) -> list[str]:
    """Returns the files that hardly are worth a window of their own."""
    return [
        f"{one.name} {one.lines}" for one in modules if one.lines < SMALL_FILE and Path(one.name).name != "__init__.py"
    ]


def functions_by_lines(modules: list[Module]) -> list[tuple[int, str]]:
    """Returns the lines and the place of each function, the longest first."""
    found = [
        (body_lines(one), f"{module.name}:{one.lineno} {one.name}") for module in modules for one in module.functions
    ]
    return sorted(found, reverse=True)


def figures(root: Path, traced: dict[str, list[str]]) -> Iterator[tuple[str, object, list[str]]]:
    """Yields what each figure is called, its value, and what it counts."""
    modules = modules_of(root)
    for name, stack in traced.items():
        yield f"own hops, {name}", len(stack) or "not traced", stack
    for name, rule in (("bare Any", bare_any), ("returned Any", returned_any), ("broad excepts", broad_excepts)):
        found = [place for module in modules for place in rule(module)]
        yield name, len(found), found
    names = two_meanings(modules)
    yield "names with two meanings", len(names), [f"{name}: {' '.join(found)}" for name, found in names.items()]
    replaced = home_made(root, modules)
    yield "home-made words in names", len(replaced), replaced
    idioms = prose(root)
    yield "home-made prose, lines", len(idioms), idioms
    small = small_files(modules)
    yield f"files below {SMALL_FILE} lines", len(small), small
    by_lines = functions_by_lines(modules)
    longest = max(modules, key=lambda one: one.lines)
    yield "longest function, lines", by_lines[0][0], [f"{place} {lines}" for lines, place in by_lines if lines > 40]
    long = sorted((f"{one.name} {one.lines}" for one in modules if one.lines > 300), key=lambda one: one.split()[1])
    yield "longest file, lines", longest.lines, long
    yield "median function, lines", statistics.median(lines for lines, _ in by_lines), []
    yield "functions", len(by_lines), []
    yield "files", len(modules), []
    yield "lines", sum(one.lines for one in modules), []


def traced(root: Path) -> dict[str, list[str]]:
    """Trains and serves by a checkout; returns its own functions on the way, from the outermost on."""
    python = root / ".venv/bin/python"
    python = python if python.exists() else Path(sys.executable)
    with tempfile.TemporaryDirectory() as scratch:
        here = Path(scratch)
        environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}

        def run(*command: str) -> None:
            done = subprocess.run(
                [str(python), *command], cwd=here, env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode not in (0, 3):
                sys.stderr.write(f"{' '.join(command)}\n{done.stderr[-3000:]}\n")

        def stack(what: str, *more: str) -> list[str]:
            run(str(TRACER), str(root), str(here / f"{what}.json"), what, *more)
            file = here / f"{what}.json"
            return json.loads(file.read_text(encoding="utf-8")) if file.exists() else []

        training = stack("training")
        run(
            "-m",
            "maas.export",
            "recipe=digits_mlp",
            "trainer.max_epochs=1",
            "runs_dir=runs",
            "registry=null",
            "compress=none",
        )
        bundle = next(iter(sorted(here.glob("runs/digits_mlp/*/bundle"))), here / "none")
        return {"command → Trainer.fit": training, "request → preprocess": stack("request", str(bundle))}


def main() -> None:
    """Prints the table."""
    given = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    root = Path(given[0]).resolve() if given else HERE
    rows = list(figures(root, {} if "--static" in sys.argv else traced(root)))
    for name, value, _ in rows:
        print(f"{name:36} {value:>8}")
    if "--offenders" in sys.argv:
        for name, _, offenders in rows:
            print(f"\n{name}", *offenders, sep="\n  ")


if __name__ == "__main__":
    main()
