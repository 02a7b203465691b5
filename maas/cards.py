"""Cards: what a notebook shows of a value, as a piece of HTML that needs no style sheet and suits light and dark."""

from collections.abc import Sequence
from html import escape

_LINE = "1px solid rgba(128,128,128,.35)"
_BOX = f"display:inline-block;max-width:100%;overflow-x:auto;border:{_LINE};border-radius:10px;padding:.7em 1em"
_CELL = f"padding:.15em 1.2em .15em 0;text-align:left;vertical-align:top;border-top:{_LINE}"
_SOFT = "opacity:.65;font-weight:400"


def card(
    title: str,
    kind: str,
    facts: Sequence[tuple[str, str]],
    columns: Sequence[str] = (),
    rows: Sequence[Sequence[str]] = (),
) -> str:
    """Returns a card; all that it shows is escaped.

    Args:
        title: name of the value.
        kind: what the value is, beside its name.
        facts: names and what they are, a line each; those that are empty are left out.
        columns: heads of a table below; none for no table.
        rows: cells of the table, as many in each as there are columns.
    """
    lines = "".join(
        f'<tr><th scope="row" style="{_CELL};{_SOFT}">{escape(name)}</th><td style="{_CELL}">{escape(value)}</td></tr>'
        for name, value in facts
        if value
    )
    head = f'<strong>{escape(title)}</strong> <span style="{_SOFT}">{escape(kind)}</span>'
    return (
        f'<div style="{_BOX}"><div style="padding-bottom:.4em">{head}</div>{_table(lines)}{_grid(columns, rows)}</div>'
    )


def _grid(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not (columns and rows):
        return ""
    heads = "".join(f'<th scope="col" style="{_CELL};{_SOFT}">{escape(name)}</th>' for name in columns)
    lines = ("".join(f'<td style="{_CELL}">{escape(cell)}</td>' for cell in row) for row in rows)
    return _table(f"<tr>{heads}</tr>" + "".join(f"<tr>{line}</tr>" for line in lines))


def _table(lines: str) -> str:
    return f'<table style="border-collapse:collapse;margin:0">{lines}</table>' if lines else ""
