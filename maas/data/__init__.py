"""Labelled rows: where they come from, how they are cleaned and split, and how they reach a training loop."""
