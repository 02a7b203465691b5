"""Nets for pictures that come pretrained, or that others wrote: how they take pictures, and what they answer."""
