"""Recipes: composing them with Hydra, and finding every fault before any work is done.

A recipe is one `RunConfig`. Its sections are parts: an importable callable and its arguments. `check` binds each part
to its signature; `Part.build` calls it.
"""

from maas.config.commands import command_again
from maas.config.composing import compose, composed_config, composed_sections
from maas.config.faults import check
from maas.config.part import Part, target_of
from maas.config.recipe_files import CONF, CONSTRAINTS, recipe_names
from maas.config.schema import FILLED, RunConfig

__all__ = [
    "CONF",
    "CONSTRAINTS",
    "FILLED",
    "Part",
    "RunConfig",
    "check",
    "command_again",
    "compose",
    "composed_config",
    "composed_sections",
    "recipe_names",
    "target_of",
]
