"""The planner: what a recipe will take, told before anything long is started."""

from maas.planning.plan import Plan, Stage
from maas.planning.planning import plan

__all__ = ["Plan", "Stage", "plan"]
