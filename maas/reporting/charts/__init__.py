"""Charts as SVG, drawn by hand: a page in two languages, light, dark and in print has each of them once.

A chart holds no colour: its marks have the classes of the page's style sheet. One file a kind of chart; `plot` has the
axes, `scales` the numbers on them.
"""
