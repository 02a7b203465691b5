"""The doctor: a recipe is examined for the field's classic mistakes before an epoch is spent on it."""

from maas.doctor.examining import examine, require_sound
from maas.doctor.finding import Finding

__all__ = ["Finding", "examine", "require_sound"]
