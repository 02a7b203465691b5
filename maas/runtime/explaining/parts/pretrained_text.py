"""Texts for pretrained models: their words."""

from maas.runtime.explaining.words import Words


class PretrainedTextParts(Words):
    """Words, as any text's."""
