"""Dialects: the protocols that clients speak. One protocol, one file; each has `routes(plane)`.

A dialect translates a request into rows and outputs into a response; it decides nothing else.
"""

import importlib
import pkgutil

from maas.serving.dataplane import DataPlane
from maas.serving.routing import Route


def routes_of(plane: DataPlane) -> list[Route]:
    """Returns the routes of every dialect in this folder."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return [route for name in names for route in importlib.import_module(f"{__name__}.{name}").routes(plane)]
