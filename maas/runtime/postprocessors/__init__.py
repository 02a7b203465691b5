"""What the graph's outputs mean to a caller. One kind a file; a file `kind.py` holds its class."""

from maas.runtime.postprocessors.base import Postprocessor, load_postprocessor, postprocessor_class

__all__ = ["Postprocessor", "load_postprocessor", "postprocessor_class"]
