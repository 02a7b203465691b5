"""Small images that Python packages ship as arrays of numbers, as arrays of pixels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from maas.data.sources import called, targets_of
from maas.data.tables import Tables
from maas.errors import DataError

LFW_FACES = 100
"""The first hundred patches of scikit-image's subset are faces, the others are not."""


def scikit_image_faces() -> Tables:
    """Loads the 200 patches of 25×25 pixels, face or other, that scikit-image ships.

    Source: G. Huang et al.: Labeled Faces in the Wild, University of Massachusetts 07-49, 2007.

    Raises:
        DataError: scikit-image is not installed.
    """
    patches = called("skimage.data.lfw_subset", distribution="scikit-image")
    labels = ["face" if index < LFW_FACES else "other" for index in range(len(patches))]
    return {"all": {"input": list(as_pixels(patches)), "label": labels}}


def scikit_learn_images(loader: str) -> Tables:
    """Loads a data set of images that scikit-learn ships.

    Args:
        loader: e.g. `sklearn.datasets.load_digits` or `sklearn.datasets.fetch_olivetti_faces`.

    Raises:
        DataError: there is no such loader, or it has no images.
    """
    bunch = called(loader)
    if "images" not in bunch:
        raise DataError(f"{loader} has no images. Take its rows of numbers: maas.data.sources.scikit_learn.")
    return {"all": {"input": list(as_pixels(bunch.images)), "label": targets_of(bunch, loader)}}


def as_pixels(images: NDArray[Any]) -> NDArray[np.uint8]:
    """Returns pixels 0 to 255: fractions in [0, 1] are multiplied by 255 and rounded, whole numbers stay.

    Args:
        images: (N, H, W) or (N, H, W, C).

    Raises:
        DataError: values lie outside [0, 255], or are neither fractions nor whole numbers.
    """
    low, high = float(images.min()), float(images.max())
    scaled = np.rint(images * 255) if images.dtype.kind == "f" and high <= 1 else images
    if not (low >= 0 and high <= 255 and np.array_equal(scaled, np.rint(scaled))):
        raise DataError(
            f"The pixels lie from {low:g} to {high:g}; they must be fractions in [0, 1] or whole numbers from 0 to 255."
        )
    return scaled.astype(np.uint8)
