"""Images inside packages become pixels."""

import numpy as np
import pytest
from skimage.data import lfw_subset
from sklearn.datasets import load_digits

from maas.data.bundled_images import as_pixels, scikit_image_faces, scikit_learn_images
from maas.errors import DataError


def test_patches_are_pixels_with_labels_when_they_come_from_scikit_image():
    table = scikit_image_faces()["all"]
    assert {(row.shape, row.dtype.name) for row in table["input"]} == {((25, 25), "uint8")}
    assert table["label"] == ["face"] * 100 + ["other"] * 100
    assert np.abs(np.stack(table["input"]) / 255 - lfw_subset()).max() <= 0.5 / 255 + 1e-9


def test_images_have_their_labels_when_they_come_from_scikit_learn():
    table, bunch = scikit_learn_images("sklearn.datasets.load_digits")["all"], load_digits()
    np.testing.assert_array_equal(np.stack(table["input"]), bunch.images)
    assert table["label"] == [str(target) for target in bunch.target]


def test_other_source_is_named_when_a_data_set_has_no_images():
    with pytest.raises(DataError) as caught:
        scikit_learn_images("sklearn.datasets.load_iris")
    assert str(caught.value) == (
        "sklearn.datasets.load_iris has no images. Take its rows of numbers: maas.data.sources.scikit_learn."
    )


def test_pixels_reach_both_ends_when_images_are_shares():
    np.testing.assert_array_equal(as_pixels(np.array([[[0.0, 0.5, 1.0]]])), [[[0, 128, 255]]])


def test_pixels_stay_when_images_are_whole_numbers():
    assert as_pixels(np.array([[[0, 1]]])).tolist() == [[[0, 1]]]
    assert as_pixels(np.array([[[0.0, 16.0]]])).tolist() == [[[0, 16]]]


@pytest.mark.parametrize(
    ("values", "bounds"), [([-1.0, 0.5], "-1 to 0.5"), ([0, 256], "0 to 256"), ([0.5, 2], "0.5 to 2")]
)
def test_pixels_are_refused_when_they_are_neither_shares_nor_bytes(values, bounds):
    with pytest.raises(DataError) as caught:
        as_pixels(np.array([[values]]))
    assert str(caught.value) == (
        f"The pixels lie from {bounds}; they must be fractions in [0, 1] or whole numbers from 0 to 255."
    )
