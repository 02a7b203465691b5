"""Sweeps: one command trains a recipe with many values of some keys, and names the values that were best.

Which combinations are tried is Hydra's sweeper's choice, and where they are trained its launcher's. This package reads
the space, keeps what each trial gave in the sweep's folder, and holds the sweeper that learns from trials (`study`, the
only module that imports optuna).
"""
