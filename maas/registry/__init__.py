"""Versions in MLflow. This is the only package that imports mlflow."""
