"""A bundle as MLflow's python function."""

import numpy as np
import pandas as pd
import pytest

from maas.runtime.bundle import Bundle
from maas.runtime.pyfunc import _load_pyfunc

TEXTS = ["很好", "a rather long text about a film", "bad"]


@pytest.fixture(scope="module")
def folders(bundles, tmp_path_factory):
    root = tmp_path_factory.mktemp("pyfunc")
    return {
        "text": bundles.text_bundle(root / "text"),
        "array": bundles.array_bundle(root / "array", width=4),
        "one": bundles.array_bundle(root / "one", width=1),
    }


@pytest.mark.parametrize(
    "wrap", [list, np.array, pd.Series, lambda rows: pd.DataFrame({"text": rows}), lambda rows: np.array(rows)[:, None]]
)
def test_texts_are_answered_alike_when_they_come_in_any_container(folders, wrap):
    found = _load_pyfunc(str(folders["text"])).predict(wrap(TEXTS))
    assert isinstance(found, pd.DataFrame)
    expected = Bundle.open(folders["text"]).predict(TEXTS)
    assert found.to_dict("records") == expected


@pytest.mark.parametrize(
    "wrap", [list, np.array, pd.DataFrame, lambda rows: pd.DataFrame({"row": list(map(list, rows))})]
)
def test_numbers_are_answered_alike_when_they_come_in_any_container(folders, wrap):
    rows = [[1, 2, 3, 4], [5, 6, 7, 8], [0, 16, 0, 16]]
    found = _load_pyfunc(str(folders["array"])).predict(wrap(rows), params=None)
    assert found.to_dict("records") == Bundle.open(folders["array"]).predict(rows)


@pytest.mark.parametrize("wrap", [list, np.array, np.float32, pd.DataFrame])
def test_rows_of_one_number_are_answered_alike_when_they_come_in_any_container(folders, wrap):
    rows = [[1], [5], [16]]
    found = _load_pyfunc(str(folders["one"])).predict(wrap(rows))
    assert found.to_dict("records") == Bundle.open(folders["one"]).predict(rows)
