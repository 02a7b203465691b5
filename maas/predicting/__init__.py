"""Predictions for whole files: rows are read, predicted and written a part at a time, in bounded memory.

A table of CSV, TSV, JSON or Parquet, lines of text, or a folder of pictures or sounds goes in; a table or lines come
out, a row for each row. It needs neither torch nor pandas.
"""
