"""Names that a module imports when they are first used (PEP 562), so that what is not used takes no time and no memory.

A module that wants some has one table of them, and a block below `TYPE_CHECKING` that imports the same for readers and
checkers of types:

    if TYPE_CHECKING:
        from package.heavy import Heavy

    __getattr__ = imported_later(__name__, {"Heavy": "package.heavy"})
"""

from collections.abc import Callable, Mapping
from importlib import import_module


def imported_later(module: str, places: Mapping[str, str]) -> Callable[[str], object]:
    """Returns the `__getattr__` of a module: it imports a name when it is first used, and the module keeps it.

    Args:
        module: name of the module.
        places: modules by the names that are imported from them.

    Raises:
        AttributeError: when a name is used that the module has nowhere; by the function that is returned.
        ImportError: when the place of a name cannot be imported; likewise.

    Example:
        >>> imported = imported_later("maas.later", {"sqrt": "math"})
        >>> imported("sqrt")(9)
        3.0
    """

    def imported(name: str) -> object:
        if name not in places:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        found: object = getattr(import_module(places[name]), name)
        setattr(import_module(module), name, found)
        return found

    return imported
