"""The names of candidates: no two of a search may have one, as records, files and choices go by them."""

import re
from collections.abc import Collection, Iterator

from maas.compression.candidates import PARENT
from maas.errors import BudgetError

PASS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
"""The name of a pass, which names files, too."""


def require_names(chain: Collection[str], graph_passes: Collection[str], *, trials: int, controls: int) -> None:
    """Refuses passes whose candidates could not be told apart by name.

    Args:
        chain: passes over checkpoints.
        graph_passes: passes over ONNX files.
        trials: proposals for the chain; 0 takes it as it is written.
        controls: nets that are trained from scratch beside it.

    Raises:
        BudgetError: a pass has no name for a file, or two candidates would have the same.
    """
    for one in (*chain, *graph_passes):
        if not PASS.fullmatch(one):
            raise BudgetError(
                f"compress.passes.{one} names files, too: a pass's name is letters, digits, - and _, a letter or digit "
                "first. Give the pass another name."
            )
    taken: dict[str, str] = {}
    for name, what in _candidates(chain, graph_passes, trials, controls):
        if name in taken:
            raise BudgetError(
                f"compress.passes: {name} is the name of {taken[name]} and of {what}; give the pass another name."
            )
        taken[name] = what


def _candidates(
    chain: Collection[str], graph_passes: Collection[str], trials: int, controls: int
) -> Iterator[tuple[str, str]]:
    """Yields the name of every candidate that a search may make, and what it is."""
    variants = [("", "the model as exported")]
    if chain:
        chained, made = "-".join(chain), f"the net that the passes {', '.join(chain)} make"
        names = [f"{chained}-{number}" for number in range(trials)] or [chained]
        variants += [(name, made) for name in names]
        variants += [(f"control{number}", "a net that is trained from scratch") for number in range(controls)]
    for variant, what in variants:
        yield variant or PARENT, what
        for one in graph_passes:
            yield "-".join(filter(None, (variant, one))), f"{_by(one)} after {variant}" if variant else _by(one)


def _by(one: str) -> str:
    return f"the pass {one}"
