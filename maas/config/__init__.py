"""Recipes: composing them with Hydra, and finding every fault before any work is done.

A recipe is one `RunConfig`. Its sections are parts: mappings whose `_target_` names an importable callable and whose
other keys are that callable's arguments. `check` binds each part to its signature; `build` calls it.
"""

from maas.config.commands import command_again
from maas.config.composing import compose
from maas.config.faults import check, explain
from maas.config.parts import build, target_of
from maas.config.recipes import CONF, CONSTRAINTS, composed, finish, readied, recipes, register, register_recipe
from maas.config.schema import FILLED, RunConfig

__all__ = [
    "CONF",
    "CONSTRAINTS",
    "FILLED",
    "RunConfig",
    "build",
    "check",
    "command_again",
    "compose",
    "composed",
    "explain",
    "finish",
    "readied",
    "recipes",
    "register",
    "register_recipe",
    "target_of",
]
