"""Looks at data of your own, and writes a recipe for it.

usage: python -m maas.new DATA [target=COLUMN] [out=FILE.yaml] [key=value …]

    DATA       a table (CSV, TSV, Parquet, JSON, JSON lines, Excel; plain or compressed), a folder of pictures or sounds
               with a folder for each label, or OWNER/NAME of a data set at the Hugging Face hub
    target     the column to learn; folders need none
    out        the recipe's file (DATA's name, here)
    name       the model's name (DATA's)
    encoding   of a text file, e.g. gb18030, utf-16, cp1252 (detected)
    separator  of its cells: comma, semicolon, tab or bar (detected)
    decimal    what comes before the fraction of a number: . or , (detected)
    sheet      of a workbook: its name, or its place from 0 (the first that holds anything)

`python -m maas.run DATA target=COLUMN [key=value …]` does the same, and takes the recipe through the line.

example: python -m maas.new reviews.csv target=stars
"""

import logging
from collections.abc import Sequence

from maas import cli
from maas.errors import ConfigError
from maas.inspecting.command import DATA_KEYS, written_recipe
from maas.outcomes import VerbOutcome, give, wants_json
from maas.overrides import key_of

log = logging.getLogger("maas")


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes a recipe."""
    is_json = wants_json(arguments)
    with cli.reported("new", is_json=is_json):
        line = cli.read("new", arguments)
        if line.wants_help or not (line.names or line.overrides):
            cli.say((__doc__ or "").strip())
            return
        if others := [one for one in line.overrides if key_of(one) not in DATA_KEYS]:
            raise ConfigError(
                f"{others[0]} does not apply to maas new; it takes {', '.join(DATA_KEYS)}. Set it in the recipe, or "
                "when that is run."
            )
        out = written_recipe(line, log.info if is_json else cli.say)
        text = f"recipe     {out}\n\nrun it     maas run recipe={out}"
        give(VerbOutcome({"recipe": out}, text), is_json=is_json)


if __name__ == "__main__":
    main()
