"""Checkpoints: fitting a net with Lightning, resuming, and what is kept of it."""
