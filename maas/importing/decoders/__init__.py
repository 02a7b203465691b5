"""Pretrained models that continue texts, taken as they come."""
