"""Runs in MLflow: their lineage, parameters, metrics and files, and what waits while MLflow is away."""
