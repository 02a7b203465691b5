"""Optuna's room: what a search varies, and what it tries next. Sweeps of recipes and compression's pipelines use it."""
