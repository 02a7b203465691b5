"""Estimators in files of skops, which run no code when they are opened."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from sklearn.base import BaseEstimator

from maas.errors import ConfigError
from maas.importing.base import library_errors, needed

BOOSTED = (
    *("xgboost.core.Booster", "lightgbm.basic.Booster"),
    *(f"xgboost.sklearn.{name}" for name in ("XGBClassifier", "XGBRegressor", "XGBRFClassifier", "XGBRFRegressor")),
    *(f"lightgbm.sklearn.{name}" for name in ("LGBMClassifier", "LGBMRegressor")),
    *(f"maas.importing.lightgbm_file.{name}" for name in ("LightGBMClassifier", "LightGBMRegressor")),
)
"""Estimators of XGBoost and LightGBM, and what is in them: numbers, and their own files."""
TRUSTED = (
    "maas.importing.blending.BlendedClassifier",
    "maas.importing.blending.BlendedRegressor",
    "functools.partial",
    "numpy.dtype",
    "sklearn.utils.validation.check_array",
    "collections.OrderedDict",
    *BOOSTED,
)
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
    with library_errors(f"{path} cannot be opened as a file of skops"):
        content = path.read_bytes()
        found: BaseEstimator = needed("skops.io").loads(content, trusted=_require_trusted(content, trusted, str(path)))
    return found


def dumped(estimator: BaseEstimator, trusted: Sequence[str]) -> bytes:
    """Returns an estimator as skops writes it.

    Raises:
        ConfigError: skops cannot write it, or it holds types that are not trusted, so that it could not be opened.
    """
    name = type(estimator).__name__
    with library_errors(f"{name} cannot be saved by skops"):
        content: bytes = needed("skops.io").dumps(estimator)
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
