"""Every message that maas raises, read off its source: the index of errors is made of them.

A message is what an error of `maas.errors` is made with, and what a function that looks for faults yields, returns or
appends. Values that are filled in are placeholders, and constants of the source are written out. Text that is passed on
from another message is none of its own.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "maas"
ROOT_ERROR = "MaasError"
FAULT_FUNCTION = re.compile(r"fault|refus|unknown|misfit|missing")
FAULT_LIST = re.compile(r"(?:faults|errors|refusals)\.append")
MAY_HOLD_MESSAGES = re.compile(
    r"Error\b|def \w*(?:fault|refus|unknown|misfit|missing)|^_?[A-Z]+_?[A-Z]* = ", re.MULTILINE
)
IMPERATIVES = re.compile(
    "add|allow|call|change|check|choose|close|compare|compress|convert|copy|correct|cut|declare|define|"
    "delete|export|fetch|fill|fit|free|give|hand|install|keep|leave|let|list|load|lower|make|map|mend|"
    "merge|move|name|open|pass|predict|print|put|raise|read|register|remove|rename|repair|replace|restart|"
    "restore|run|save|see|select|send|serve|set|shorten|split|start|stop|sweep|take|train|try|unpack|"
    "update|upgrade|use|wait|want|wrap|write"
)
CLAUSE = re.compile(r"(?:^|(?<=[.;:,!?}⟩)])\s+|\band |\bor |\bthen |\bso )(?P<word>[A-Za-z]+)")
REQUIRES = re.compile(
    r"\b(?:must|require[sd]?|needs?|at (?:least|most)|it is (?:one of|a|an)|takes?|known are|exactly)\b"
)
SENTENCE = re.compile(r"(?<=[.!?])\s+")
OPEN, CLOSE = "⟨", "⟩"


@dataclass(frozen=True, order=True)
class Message:
    """A message as the source has it.

    Args:
        file: below the package, e.g. `data/cells.py`.
        error: name of the error's class; empty for one fault among several, which a `ConfigError` lists.
        text: values that are filled in stand in ⟨angle brackets⟩.
    """

    file: str
    error: str
    text: str

    @property
    def remedy(self) -> str:
        """What the message itself says is to be done; empty where it says nothing of the kind."""
        sentences = SENTENCE.split(self.text)
        for place, sentence in enumerate(sentences):
            if _begins_with_a_verb(sentence):
                return " ".join(sentences[place:])
        if "Did you mean" in self.text:
            return "Did you mean" + self.text.partition("Did you mean")[2]
        is_said = any(IMPERATIVES.fullmatch(match["word"].lower()) for match in CLAUSE.finditer(self.text))
        return self.text if is_said or REQUIRES.search(self.text) else ""

    @property
    def found(self) -> str:
        """What the message says was found, without its remedy where that stands by itself."""
        remedy = self.remedy
        return self.text.removesuffix(remedy).strip() or self.text


def _begins_with_a_verb(sentence: str) -> bool:
    return IMPERATIVES.fullmatch(sentence.partition(" ")[0].strip(",.:").lower()) is not None


@dataclass(frozen=True)
class Source:
    """A file of the package, with its nodes and the texts that it names in capitals."""

    file: str
    nodes: tuple[ast.AST, ...]
    constants: Mapping[str, str]

    @classmethod
    def of(cls, path: Path) -> "Source":
        """Reads a file; one that can hold no message has no nodes."""
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text) if MAY_HOLD_MESSAGES.search(text) else ast.Module([], [])
        return cls(path.relative_to(PACKAGE).as_posix(), tuple(ast.walk(tree)), _constants(tree))


@cache
def messages() -> tuple[Message, ...]:
    """Returns all messages, sorted by file and text."""
    sources = [Source.of(path) for path in sorted(PACKAGE.rglob("*.py"))]
    errors = error_classes(sources)
    shared = {name: text for source in sources for name, text in source.constants.items()}
    found = {
        Message(source.file, error, text)
        for source in sources
        for error, node in (*_raised(source, errors), *_faults(source))
        for text in _texts(node, {**shared, **source.constants})
        if is_sentence(text, is_fault=not error)
    }
    return tuple(sorted(found))


def described_errors() -> dict[str, str]:
    """Returns what each error of `maas.errors` means, by its name."""
    return error_classes([Source.of(PACKAGE / "errors.py")])


def is_sentence(text: str, *, is_fault: bool) -> bool:
    """Whether a text says something by itself: in three words, and where it is one of several faults, in a sentence."""
    words = re.sub(f"{OPEN}[^{CLOSE}]*{CLOSE}", "", text).split()
    return len(words) >= 3 and (not is_fault or "." in text)


def error_classes(sources: Iterable[Source]) -> dict[str, str]:
    """Returns the first line of the docstring of each error that maas raises on purpose, by its name."""
    bases: dict[str, tuple[str, str]] = {}
    for source in sources:
        for node in source.nodes:
            if isinstance(node, ast.ClassDef) and node.bases:
                about = (ast.get_docstring(node) or "").partition("\n")[0]
                bases[node.name] = (ast.unparse(node.bases[0]).rpartition(".")[2], about)
    found = {ROOT_ERROR: ""}
    while more := {name: about for name, (base, about) in bases.items() if base in found and name not in found}:
        found |= more
    return found


def _raised(source: Source, errors: Mapping[str, str]) -> Iterator[tuple[str, ast.expr]]:
    for node in source.nodes:
        if isinstance(node, ast.Call) and node.args and (name := _called(node)) in errors:
            yield name, node.args[0]


def _called(node: ast.Call) -> str:
    """Returns the last name of what is called."""
    return getattr(node.func, "id", "") or getattr(node.func, "attr", "")


def _faults(source: Source) -> Iterator[tuple[str, ast.expr]]:
    """Yields what functions that look for faults give, one of several in a `ConfigError`."""
    for node in source.nodes:
        if isinstance(node, ast.FunctionDef) and FAULT_FUNCTION.search(node.name):
            inner = ast.walk(node)
            yield from (("", one.value) for one in inner if isinstance(one, ast.Yield | ast.Return) and one.value)
        if isinstance(node, ast.Call) and node.args and FAULT_LIST.fullmatch(ast.unparse(node.func)):
            yield "", node.args[0]


def _constants(tree: ast.Module) -> dict[str, str]:
    """Returns the texts that a module names in capitals."""
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id.isupper()
    }


def _texts(node: ast.expr, constants: Mapping[str, str]) -> list[str]:
    """Returns the texts that an expression may give; none where it passes another message on."""
    found: list[str] = []
    match node:
        case ast.Constant(value=str(text)):
            found = [text]
        case ast.JoinedStr(values=values):
            found = ["".join(_piece(value, constants) for value in values)]
        case ast.IfExp(body=body, orelse=other):
            found = _texts(body, constants) + _texts(other, constants)
        case ast.BoolOp(values=values):
            found = [text for value in values for text in _texts(value, constants)]
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            first, second = _texts(left, constants), _texts(right, constants)
            found = [one + other for one in first or [_placeholder(left)] for other in second or [_placeholder(right)]]
        case ast.Name(id=name) if name in constants:
            found = [constants[name]]
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="format")) if name in constants:
            found = [re.sub(r"\{(\w+)\}", rf"{OPEN}\1{CLOSE}", constants[name])]
    return found


def _piece(value: ast.expr, constants: Mapping[str, str]) -> str:
    if isinstance(value, ast.Constant):
        return str(value.value)
    inner = value.value if isinstance(value, ast.FormattedValue) else value
    return constants[inner.id] if isinstance(inner, ast.Name) and inner.id in constants else _placeholder(inner)


def _placeholder(node: ast.expr) -> str:
    """Returns what stands for a value: the name that the source has for it."""
    match node:
        case ast.Call(func=ast.Name(id="nearest_of" | "hint_of")):
            return f" Did you mean {OPEN}name{CLOSE}?"
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return f"{OPEN}{name.strip('_').lower()}{CLOSE}"
        case ast.Call(func=ast.Name(), args=[first, *_]) | ast.Subscript(value=first):
            return _placeholder(first)
        case ast.Call(func=ast.Attribute(attr="join"), args=[first]):
            return _placeholder(first)
    return f"{OPEN}…{CLOSE}"
