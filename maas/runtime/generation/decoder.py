"""A graph that continues sequences, and the keys and values that it keeps between its runs.

ONNX Runtime reads and writes the same memory, so that no run copies what is kept.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from maas.errors import BundleError
from maas.records.signature import NUMPY_TYPES, TensorSpec
from maas.runtime.graph import Graph

TOKENS, LAST_POSITIONS, TOTAL_LENGTH, LOGITS = "tokens", "last_positions", "total_length", "logits"
PAST, PRESENT = "past.", "present."
"""What the name of a kept tensor is preceded by as an input and as an output of the graph."""
RUN_TOKENS = 512
"""Most new tokens of one run, padding included: bounds the memory of what is computed between the layers."""
LEAST_TOKENS = 2
"""Of a run that reads a prompt of more than one. ONNX Runtime's attention of one new token differs in the last digit
from that of several; where activations are rounded to int8, SmolLM2's logits then differ by tenths."""
RUN_COST = 8
"""What a run costs whatever its length, in tokens of a prompt: of SmolLM2-135M in fp32 on one thread of a CPU."""

TokenIds = NDArray[np.int64]


class KeyValueCache:
    """Keys and values of the sequences in some slots. Memory is taken from the system as positions are written.

    `lengths` holds the number of positions of each slot that are in use, int32 (slots,).

    Args:
        state: tensors that the graph keeps, (sequences, kv_heads, positions, head_size) each.
        slots: number of sequences.
        length: largest number of positions of a sequence.
    """

    def __init__(self, state: Sequence[TensorSpec], slots: int, length: int) -> None:
        self.slots = slots
        self.length = length
        self.lengths = np.zeros(slots, np.int32)
        self.tensors: Mapping[str, NDArray[np.generic]] = {
            spec.name: np.zeros((slots, spec.shape[1], length, spec.shape[3]), NUMPY_TYPES[spec.datatype])
            for spec in state
        }

    def copy(self, source: int, target: int, count: int) -> None:
        """Copies the first positions of a slot to another; which of them are in use stays as it is."""
        for tensor in self.tensors.values():
            tensor[target, :, :count] = tensor[source, :, :count]

    def swap(self, one: int, other: int, one_count: int, other_count: int) -> None:
        """Exchanges two slots, as many of the first positions of each as may hold something."""
        for tensor in self.tensors.values():
            kept = tensor[one, :, :one_count].copy()
            tensor[one, :, :other_count] = tensor[other, :, :other_count]
            tensor[other, :, :one_count] = kept
        self.lengths[[one, other]] = self.lengths[[other, one]]

    def clear(self, slot: int) -> None:
        """Empties a slot."""
        self.lengths[slot] = 0


class Decoder:
    """A graph of prompts and steps, as `maas.onnx_graphs.decoder` writes it.

    Args:
        model: ONNX file.
        state: tensors that the graph keeps between runs.
        threads: ONNX Runtime's intra-op threads.

    Raises:
        BundleError: ONNX Runtime cannot load the file, or it does not keep these tensors.
    """

    def __init__(self, model: Path, state: Sequence[TensorSpec], threads: int = 1) -> None:
        self.state = tuple(state)
        self._session = Graph(model, threads).session
        self.vocabulary_size = self._width_of_logits(model)
        self._steps: WeakKeyDictionary[KeyValueCache, dict[int, _BoundRun]] = WeakKeyDictionary()

    def new_cache(self, slots: int, length: int) -> KeyValueCache:
        """Returns an empty cache for `slots` sequences of at most `length` tokens."""
        return KeyValueCache(self.state, slots, length)

    def prefill(self, cache: KeyValueCache, first: int, prompts: Sequence[TokenIds]) -> NDArray[np.float32]:
        """Reads prompts into neighbouring slots, and returns the logits after each, (N, vocabulary).

        Prompts that begin their sequences share runs of at most `RUN_TOKENS`; a longer one is read in several.

        Args:
            cache: where keys and values go.
            first: slot of the first prompt.
            prompts: token ids, one or more each; those of similar length side by side waste the least.
        """
        found: list[NDArray[np.float32]] = []
        start, sizes = 0, [len(prompt) for prompt in prompts]
        while start < len(prompts):
            count = prompts_of_a_run(sizes[start:], RUN_TOKENS)
            if count == 1:
                found.append(self._read_alone(cache, first + start, prompts[start]))
            else:
                found.append(self.extend(cache, first + start, prompts[start : start + count]))
            start += count
        return np.concatenate(found)

    def step(self, cache: KeyValueCache, tokens: Sequence[int]) -> NDArray[np.float32]:
        """Adds a token to each of the first sequences and returns the logits after it, (N, vocabulary)."""
        return self.extend(cache, 0, np.array(tokens, np.int64)[:, None])

    def extend(self, cache: KeyValueCache, first: int, rows: Sequence[TokenIds] | TokenIds) -> NDArray[np.float32]:
        """Adds new tokens to the sequences of neighbouring slots in one run.

        Several tokens at once are taken by empty slots, of each its own number, or by one slot alone.

        Args:
            cache: keys and values; it holds those of the new tokens afterwards.
            first: the first of the slots.
            rows: N rows of new token ids.

        Returns:
            Logits after the last token of each row, (N, vocabulary).

        Raises:
            ValueError: the cache is too short, or sequences that are not empty cannot take so many at once.
        """
        sizes = np.array([len(row) for row in rows], np.int32)
        slots = slice(first, first + len(rows))
        past, longest = cache.lengths[slots], int(sizes.max())
        if longest > 1 and len(rows) > 1 and past.any():
            raise ValueError("Sequences that are not empty take one token each, or several one sequence alone.")
        total = past + sizes
        if total.max() > cache.length:
            raise ValueError(f"A sequence of {total.max()} tokens does not fit into a cache of {cache.length}.")
        logits = self._bound_run(cache, slots, longest).run(rows, total)
        cache.lengths[slots] = total
        return logits

    def _read_alone(self, cache: KeyValueCache, slot: int, prompt: TokenIds) -> NDArray[np.float32]:
        start = 0
        while start < len(prompt):
            end = start + tokens_of_a_run(len(prompt) - start, RUN_TOKENS)
            logits = self.extend(cache, slot, [prompt[start:end]])
            start = end
        return logits

    def _bound_run(self, cache: KeyValueCache, slots: slice, longest: int) -> "_BoundRun":
        """Returns a run over slots; those of steps are kept, as binding is work for every layer."""
        count = slots.stop - slots.start
        if slots.start or longest > 1:
            return _BoundRun(self._session, cache, slots, longest, self.vocabulary_size)
        steps = self._steps.setdefault(cache, {})
        if count not in steps:
            steps[count] = _BoundRun(self._session, cache, slots, 1, self.vocabulary_size)
        return steps[count]

    def _width_of_logits(self, model: Path) -> int:
        """Returns the size of the vocabulary.

        Raises:
            BundleError: the graph is none of prompts and steps with this state.
        """
        shapes = {output.name: output.shape for output in self._session.get_outputs()}
        inputs = {one.name for one in self._session.get_inputs()}
        kept = {prefix + spec.name for spec in self.state for prefix in (PAST, PRESENT)}
        missing = sorted(({TOKENS, LAST_POSITIONS, TOTAL_LENGTH, LOGITS} | kept) - inputs - shapes.keys())
        if missing:
            raise BundleError(f"{model} has no {missing[0]}, which its manifest promises; export the model again.")
        return int(shapes[LOGITS][-1])


class _BoundRun:
    """A run over neighbouring slots, whose inputs and outputs lie in memory that it keeps.

    Args:
        session: ONNX Runtime's session.
        cache: keys and values.
        slots: which sequences.
        longest: largest number of new tokens of one.
        vocabulary_size: width of the logits.
    """

    def __init__(
        self, session: ort.InferenceSession, cache: KeyValueCache, slots: slice, longest: int, vocabulary_size: int
    ) -> None:
        count = slots.stop - slots.start
        self._session = session
        self._tokens = np.zeros((count, longest), np.int64)
        self._last = np.zeros(count, np.int32)
        self._total = np.zeros((), np.int32)
        self._width = vocabulary_size
        self._kept = {name: tensor[slots] for name, tensor in cache.tensors.items()}
        self._binding = session.io_binding()
        for name, array in ((TOKENS, self._tokens), (LAST_POSITIONS, self._last), (TOTAL_LENGTH, self._total)):
            _bind(self._binding.bind_input, name, array)
        for name, tensor in self._kept.items():
            _bind(self._binding.bind_input, PAST + name, tensor)
            _bind(self._binding.bind_output, PRESENT + name, tensor)

    def run(self, rows: Sequence[TokenIds] | TokenIds, total: NDArray[np.int32]) -> NDArray[np.float32]:
        """Returns the logits after the last token of each row, (N, vocabulary), in memory of their own.

        Args:
            rows: new tokens of each sequence.
            total: length of each sequence with them.
        """
        for index, row in enumerate(rows):
            self._tokens[index, : len(row)] = row
        self._last[:] = total - 1
        self._total[...] = total.max()
        logits = np.empty((len(rows), self._width), np.float32)
        _bind(self._binding.bind_output, LOGITS, logits)
        self._session.run_with_iobinding(self._binding)
        return logits


def prompts_of_a_run(sizes: Sequence[int], most_tokens: int = RUN_TOKENS) -> int:
    """Returns how many of the first prompts share a run, padded to the longest; at least one.

    One more saves a run, and costs the padding that it makes necessary; it joins where that is cheaper. Prompts of one
    token are among themselves, so that each is computed as it would be alone.

    Args:
        sizes: number of tokens of each prompt.
        most_tokens: most tokens of the run, padding included.
    """
    longest = sizes[0]
    for count, size in enumerate(sizes[1:], start=1):
        padding = count * (size - longest) if size > longest else longest - size
        is_alike = (size < LEAST_TOKENS) == (longest < LEAST_TOKENS)
        longest = max(longest, size)
        if not is_alike or padding > RUN_COST or longest * (count + 1) > most_tokens:
            return count
    return len(sizes)


def tokens_of_a_run(rest: int, most_tokens: int) -> int:
    """Returns how many tokens of a prompt the next run reads; what follows has `LEAST_TOKENS` or more, if any.

    Args:
        rest: number of tokens that are not read.
        most_tokens: most tokens of the run; of less than `LEAST_TOKENS` it makes so many.
    """
    size = max(most_tokens, LEAST_TOKENS)
    if rest <= size + 1:
        return rest if rest <= size or size == LEAST_TOKENS else rest - LEAST_TOKENS
    return size


def _bind(bind: "ort.IOBinding.bind_input", name: str, array: NDArray[np.generic]) -> None:
    """Binds an array of contiguous memory by its address."""
    bind(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
