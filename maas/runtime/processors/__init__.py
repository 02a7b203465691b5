"""Processors: the only code that reads raw input. One kind a file; a file `kind.py` holds its class.

A bundle names its processor by kind, never by an import path, so that opening a bundle cannot run a stranger's code.
"""

from maas.runtime.processors.base import Array, Processor, SingleArrayProcessor, load_processor, preprocessed_pieces

__all__ = ["Array", "Processor", "SingleArrayProcessor", "load_processor", "preprocessed_pieces"]
