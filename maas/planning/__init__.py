"""The planner: what a recipe will take, told before anything long is started."""

from maas.planning.planning import plan
from maas.planning.stage import Plan, Stage

__all__ = ["Plan", "Stage", "plan"]
