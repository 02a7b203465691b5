"""Estimators in files of skops, which run no code when they are opened."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from sklearn.base import BaseEstimator

from maas.errors import ConfigError, one_line
from maas.importing.base import needed

TRUSTED = ("functools.partial", "numpy.dtype", "sklearn.utils.validation.check_array")
"""What skops leaves to its caller beside the classes of scikit-learn; none of it runs code of a file."""
PICKLES = (".joblib", ".pickle", ".pkl", ".sav")


def open_skops(path: Path, trusted: Sequence[str]) -> BaseEstimator:
    """Opens a file of skops.

    Raises:
        ConfigError: it is a pickle, cannot be read, or holds types that are not trusted.
    """
    if path.suffix.lower() in PICKLES:
        raise ConfigError(
            f"{path} is a pickle, and opening one runs whatever code it holds. Save the estimator by skops.io.dump "
            f"where it was made, and set model.estimator={path.with_suffix('.skops')}."
        )
    try:
        content = path.read_bytes()
        return needed("skops.io").loads(content, trusted=_require_trusted(content, trusted, str(path)))
    except ConfigError:
        raise
    except Exception as error:  # a missing file, a broken archive, a type of a package that is not there
        raise ConfigError(f"{path} cannot be opened as a file of skops: {one_line(error)}.") from error


def dumped(estimator: BaseEstimator, trusted: Sequence[str]) -> bytes:
    """Returns an estimator as skops writes it.

    Raises:
        ConfigError: skops cannot write it, or it holds types that are not trusted, so that it could not be opened.
    """
    name = type(estimator).__name__
    try:
        content: bytes = needed("skops.io").dumps(estimator)
    except Exception as error:  # it raises whatever a type's own state raises
        raise ConfigError(f"{name} cannot be saved by skops: {one_line(error)}.") from error
    _require_trusted(content, trusted, name)
    return content


def _require_trusted(content: bytes, trusted: Sequence[str], what: str) -> list[str]:
    """Returns the types that a file holds, once each is trusted.

    Raises:
        ConfigError: one is not.
    """
    found = needed("skops.io").get_untrusted_types(data=content)
    unknown = sorted(name for name in set(found) - set(trusted) if not _is_of_scikit_learn(name))
    if unknown:
        raise ConfigError(
            f"{what} holds types that are not trusted: {', '.join(unknown)}. If you know what they do, set "
            f"model.trusted=[{','.join(unknown)}]."
        )
    return list(found)


def _is_of_scikit_learn(name: str) -> bool:
    """Returns whether a name is that of a class of scikit-learn, which holds numbers, or of one of its metrics.

    Another function might be called with what a file holds.
    """
    module, _, member = name.rpartition(".")
    if module.partition(".")[0] != "sklearn":
        return False
    try:
        found = getattr(import_module(module), member)
        home = str(found.__module__)  # a module of scikit-learn may have imported it from another package
        return home.startswith("sklearn.metrics.") or (isinstance(found, type) and home.startswith("sklearn."))
    except (ImportError, AttributeError):
        return False
