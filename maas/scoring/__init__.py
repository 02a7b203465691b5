"""Scoring: metrics as functions of targets and of what a model gives for them. Intervals are the evidence's.

`names` has which metrics there are, and of which of them less is better; validation, evidence and sweeps read it there.
"""
