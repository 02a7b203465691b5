"""From data to a recipe: what a file, a folder or a frame holds, what could learn from it, and the recipe that does.

    inspect_data(source)          what the data holds           DataDescription
    propose(description, target)  what could learn it           RecipeProposal
    proposal.text                 a recipe that runs            YAML

Everything that is chosen is said with its reason, and is a key of the recipe.
"""

from maas.inspecting.description import ColumnDescription, DataDescription, FileReading
from maas.inspecting.proposal import RecipeProposal, propose
from maas.inspecting.reading import inspect_data

__all__ = ["ColumnDescription", "DataDescription", "FileReading", "RecipeProposal", "inspect_data", "propose"]
