"""The planner: what a recipe will take, before anything long is started."""

from maas.planning.planning import plan
from maas.planning.result import PlannedStage, RecipePlan

__all__ = ["PlannedStage", "RecipePlan", "plan"]
