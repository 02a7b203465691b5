"""Explains the texts of a model that generates and is served: its graph is run beside the steps of other texts.

Each explanation has a cache of its own, whose size is bounded, and ends between two runs once nobody wants it.
"""

from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, cast

from maas.errors import InputError
from maas.explaining.explainer import Method, explain_prompt
from maas.explaining.explanation import Explanation
from maas.explaining.prompts import ContinuedPrompt
from maas.serving.call import Row

if TYPE_CHECKING:  # a server without such a model does not import what generates
    from maas.runtime.generation.generator import Prompt, TextGenerator

MOST_TOKENS_READ = 32_768
"""Read for one prompt: those of the prompt and its text, in each run."""


class ExplainedPrompts:
    """A model that generates, for a thread that wants to know how likely texts are.

    Args:
        generator: the model.
    """

    def __init__(self, generator: "TextGenerator") -> None:
        self._generator = generator
        self._is_withdrawn = False

    def withdraw(self) -> None:
        """Ends the work before its next run."""
        self._is_withdrawn = True

    def explanation(
        self, row: Row, /, *, label: str | None, method: Method | None, orders: int, parts: int | None
    ) -> Explanation:
        """Returns what each word of a prompt adds to the text after it; arguments as of `maas.explain`.

        Raises:
            InputError: the prompt or the text cannot be understood, or it takes too many tokens to explain it.
            GenerationError: the model fails.
            CancelledError: nobody wants it any more.
        """
        self._require_wanted()
        prompt = ContinuedPrompt(self._generator, cast("Prompt", row), label, parts, before_run=self._require_wanted)
        _require_affordable(prompt, method, orders)
        return explain_prompt(prompt, method=method, orders=orders)

    def _require_wanted(self) -> None:
        if self._is_withdrawn:
            raise CancelledError


def _require_affordable(prompt: ContinuedPrompt, method: Method | None, orders: int) -> None:
    """Requires that all runs together read no more than `MOST_TOKENS_READ`.

    Raises:
        InputError: they read more.
    """
    parts = len(prompt.view.parts)
    runs = orders * (parts + 1) if method == "shapley" else parts + 2
    total = runs * prompt.tokens_of_a_run
    if total > MOST_TOKENS_READ:
        raise InputError(
            f"An explanation by {parts} parts reads prompt and text {runs} times, {total:,} tokens in all; at most "
            f"{MOST_TOKENS_READ:,} are read for one. Send fewer parts, fewer orders, or a shorter prompt or label."
        )
