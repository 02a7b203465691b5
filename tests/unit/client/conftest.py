"""Real servers, one for each kind of input and started once."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest


class Served(NamedTuple):
    """A bundle and the URL at which it is served."""

    folder: Path
    url: str


@pytest.fixture(scope="session")
def served(serving_bundles, start, tmp_path_factory) -> Iterator[Callable[[str], Served]]:
    """Returns a server of a kind of bundle; it runs until the session ends."""
    known: dict[str, Served] = {}
    with contextlib.ExitStack() as stack:

        def find(kind: str) -> Served:
            if kind not in known:
                make = getattr(serving_bundles, f"{kind}_bundle")
                settings = {"bias": 1000.1, "deviation": 3.3} if kind == "value" else {}
                folder = make(tmp_path_factory.mktemp("bundles") / kind, **settings)
                known[kind] = Served(folder, stack.enter_context(start(f"model={folder}")))
            return known[kind]

        yield find
