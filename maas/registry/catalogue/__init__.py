"""Versions of models in MLflow: finding and making them, moving aliases, uploading and downloading bundles."""
