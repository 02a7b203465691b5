"""What a file of skops may hold: classes of scikit-learn and its metrics, and nothing that might be called."""

import functools
import os
import pathlib

import numpy as np
import pytest
import sklearn.datasets
import skops.io
from sklearn.linear_model import Ridge
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from maas.errors import ConfigError
from maas.importing.skops_file import TRUSTED, dumped, open_skops


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (os.system, "posix.system"),
        (functools.partial(os.system, "true"), "posix.system"),
        (functools.partial(eval, "1"), "builtins.eval"),
        (sklearn.datasets.fetch_openml, "sklearn.datasets._openml.fetch_openml"),
        (functools.partial(pathlib.Path, "/"), "pathlib.Path"),
    ],
)
def test_function_is_refused_by_name_when_a_file_holds_one(function, name, tmp_path):
    skops.io.dump(make_pipeline(FunctionTransformer(function), Ridge()), tmp_path / "theirs.skops")
    with pytest.raises(ConfigError, match=f"theirs.skops holds types that are not trusted: {name}. "):
        open_skops(tmp_path / "theirs.skops", TRUSTED)


def test_parts_of_scikit_learn_and_numpy_are_opened_without_being_named(tmp_path):
    inner = make_pipeline(FunctionTransformer(np.log1p, np.expm1), Ridge())
    search = GridSearchCV(inner, {"ridge__alpha": [1.0]}, scoring=make_scorer(f1_score), cv=2)
    (tmp_path / "ours.skops").write_bytes(dumped(search, TRUSTED))
    assert open_skops(tmp_path / "ours.skops", TRUSTED).estimator[0].func is np.log1p
