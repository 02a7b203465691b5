"""Answers: what the graph's outputs mean to a caller. One kind a file; a file `kind.py` holds a class `Answer`."""

from maas.runtime.answers.base import BaseAnswer, answer_class, load_answer

__all__ = ["BaseAnswer", "answer_class", "load_answer"]
