"""Passes: one way of making a model smaller or faster, one file each. Artifact in, artifact out."""

from maas.compression.passes.base import Calibration, CheckpointPass, OnnxPass, Pass, PassContext

__all__ = ["Calibration", "CheckpointPass", "OnnxPass", "Pass", "PassContext"]
