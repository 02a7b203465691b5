"""Models that generate, written as the files that other engines take. One target, one file.

All is read out of a bundle: weights from its graph, tokens and templates from its assets. No torch, and no source that
the bundle was made of.
"""
