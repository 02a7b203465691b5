"""The model as one writes it by hand in ten minutes, without checks: a graph over rows of numbers, or over texts.

Every peer runs it, with one intra-op thread that does not spin, as maas does.
"""

import json
import os
from pathlib import Path

import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer

BUNDLE = Path(os.environ["BUNDLE"])
TOKENIZER = BUNDLE / "assets" / "tokenizer.json"
IS_TEXT = TOKENIZER.exists()
WAIT_MS = int(os.environ["BATCH_WAIT_MS"])
Row = str if IS_TEXT else list[float]


class Model:
    """Opens `model.onnx` and, where there is one, `tokenizer.json` of the bundle's folder in `BUNDLE`."""

    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(BUNDLE / "model.onnx", options)
        self._names = [one.name for one in self._session.get_inputs()]
        self._tokenizer = tokenizer() if IS_TEXT else None

    def scores(self, rows: list[Row]) -> list[list[float]]:
        """Returns the scores or the embeddings of some rows."""
        return self._session.run(None, self._inputs(rows))[0].tolist()

    def _inputs(self, rows: list[Row]) -> dict[str, np.ndarray]:
        if self._tokenizer is None:
            return {self._names[0]: np.asarray(rows, dtype=np.float32)}
        encodings = self._tokenizer.encode_batch_fast(rows)
        ids = np.array([one.ids for one in encodings], dtype=np.int64)
        mask = np.array([one.attention_mask for one in encodings], dtype=np.int64)
        return {"input_ids": ids, "attention_mask": mask}


def tokenizer() -> Tokenizer:
    """Returns the bundle's tokenizer; it cuts as the bundle does, and pads to the longest text of a batch."""
    loaded = Tokenizer.from_file(str(TOKENIZER))
    settings = json.loads((BUNDLE / "manifest.json").read_text())["processor"]
    loaded.enable_truncation(settings["max_tokens"])
    loaded.enable_padding(**{**(loaded.padding or {}), "length": None})
    return loaded
