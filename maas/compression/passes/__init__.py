"""Passes: one way of making a model smaller or faster, one file each. Artifact in, artifact out."""

from maas.compression.passes.base import Calibration, Pass

__all__ = ["Calibration", "Pass"]
