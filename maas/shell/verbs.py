"""The verbs of `maas`, in the order in which they are used, and the exit statuses that all of them share."""

from collections.abc import Iterator

from maas.outcomes import EXIT_STATUSES

VERBS = {
    "new": "looks at data of your own, and writes a recipe for it",
    "run": "takes a recipe, or data of your own, through the whole line",
    "doctor": "examines a recipe for classic mistakes",
    "plan": "estimates what a recipe will take: minutes, memory, bytes",
    "train": "trains a recipe's net",
    "compress": "makes the newest checkpoint, or a model of another framework, smaller",
    "export": "turns the newest checkpoint into a bundle",
    "verify": "measures the newest bundle again",
    "compare": "compares models on the same rows",
    "report": "writes a page about a model, for people",
    "register": "makes a version of the newest bundle",
    "predict": "predicts the rows of a file, and writes a file",
    "generate": "continues texts, or answers in a talk",
    "handover": "writes a model for another engine",
    "serve": "answers over HTTP",
    "bench": "tests a server under load",
    "dashboards": "writes a dashboard and alerts for a server",
    "list": "lists recipes, parts, runs or models",
    "show": "shows a recipe, a part, a run or a model",
    "completion": "prints what lets a shell complete words after maas",
}
PACKAGES = ("doctor", "handover")
"""Entries that are packages; the others are modules."""

RECIPE_VERBS = ("run", "doctor", "plan", "train", "compress", "export", "verify", "register", "compare")
"""Verbs that take a recipe."""

MODEL_VERBS = ("predict", "generate", "handover", "compare", "report", "compress", "show")
"""Verbs whose first words are models."""


def overview() -> str:
    """Returns what `maas` prints without a verb."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield "maas VERB key=value …"
    yield from (f"  {name:10} {what}" for name, what in VERBS.items())
    yield ""
    yield "maas VERB --help says more; --json prints one JSON object; maas --version prints the version"
    yield ""
    yield "exit statuses"
    yield from (f"  {status:<10} {meaning}" for status, meaning in EXIT_STATUSES.items())
