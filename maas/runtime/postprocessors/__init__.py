"""Answers: what the graph's outputs mean to a caller. One kind a file; a file `kind.py` holds a class `Answer`."""

from maas.runtime.postprocessors.base import Postprocessor, load_postprocessor, postprocessor_class

__all__ = ["Postprocessor", "load_postprocessor", "postprocessor_class"]
