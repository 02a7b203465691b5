"""Runs on disk, `runs/NAME/RUN/`: what lies in a run's folder, and which run to start or resume."""
