"""transformers is imported by what uses it, and not by torchmetrics for metrics that nobody wants.

Lightning imports torchmetrics to compare its version, and that imports transformers where it is installed, with all
that transformers imports: half of the time that `import lightning` takes. While torchmetrics is imported, a stand-in of
transformers gives it classes that become transformers' own when they are first used.
Source: torchmetrics 1.9, `functional/text/bert.py`; findings/lightning_imports_transformers.sh.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

IMPORTER, DEFERRED = "torchmetrics", "transformers"


class _DeferredClass(type):
    """A class of transformers that is imported when it is called, tested against, or an attribute of it is wanted."""

    def __getattr__(cls, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(cls._imported(), name)

    def __call__(cls, *args: object, **settings: object) -> object:
        return cls._imported()(*args, **settings)

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls._imported())

    def _imported(cls) -> type:
        found: type = getattr(import_module(DEFERRED), cls.__name__)
        return found


class _StandIn(ModuleType):
    """Is in the place of transformers while torchmetrics is imported."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return _DeferredClass(name, (), {})


class _ImporterLoader(SourceFileLoader):
    """Imports torchmetrics beside the stand-in."""

    def exec_module(self, module: ModuleType) -> None:
        """Runs the module; afterwards transformers is what it was."""
        found = PathFinder.find_spec(DEFERRED)
        if found is None or DEFERRED in sys.modules:
            super().exec_module(module)
            return
        sys.modules[DEFERRED] = stand_in = _StandIn(DEFERRED)
        stand_in.__spec__ = found
        try:
            super().exec_module(module)
        finally:
            del sys.modules[DEFERRED]


class _ImporterFinder:
    """Finds torchmetrics, once, where Python looks for packages."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Returns where torchmetrics is, to be imported beside the stand-in; None of all other modules."""
        if fullname != IMPORTER:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _ImporterLoader(spec.loader.name, spec.loader.path)
        return spec


def defer() -> None:
    """Lets torchmetrics do without transformers when it is imported, if it is not imported yet."""
    if IMPORTER not in sys.modules and not any(isinstance(finder, _ImporterFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _ImporterFinder())
