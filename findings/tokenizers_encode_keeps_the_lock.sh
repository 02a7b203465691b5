#!/usr/bin/env bash
# tokenizers: encode(text) keeps the interpreter's lock for as long as it takes, so that no other thread of Python runs;
# encode_batch([text]) and encode_batch_fast([text]) give it back. A server that makes tokens of a long text in a thread
# of its own stands still for all others with the first, and goes on with the second.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tokenizers==0.22.2
"$folder/venv/bin/python" - <<'PY'
import sys
import threading
import time

import tokenizers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.train_from_iterator(
    [f"number {number}" for number in range(2000)], trainers.BpeTrainer(vocab_size=600, show_progress=False)
)
text = " ".join(f"number {number}" for number in range(150_000))


def longest_pause(work):
    """The longest time in which another thread did nothing, as a fraction of the time that some work took."""
    pauses, is_over = [0.0], threading.Event()

    def watch():
        last = time.perf_counter()
        while not is_over.is_set():
            time.sleep(0.001)
            now = time.perf_counter()
            pauses.append(now - last)
            last = now

    thread = threading.Thread(target=watch)
    thread.start()
    time.sleep(0.05)
    pauses[:] = [0.0]
    start = time.perf_counter()
    found = work()
    took = time.perf_counter() - start
    is_over.set()
    thread.join()
    return max(pauses) / took, took, found


print("tokenizers", tokenizers.__version__, "python", sys.version.split()[0])
one = longest_pause(lambda: tokenizer.encode(text).ids)
several = longest_pause(lambda: tokenizer.encode_batch_fast([text])[0].ids)
for name, (pause, took, ids) in (("encode", one), ("encode_batch_fast", several)):
    print(f"{name:18} {len(ids):,} tokens in {took:.2f} s; another thread stood still for {pause:.0%} of that")
print("expected: as long with both, and far less than all of it")
sys.exit(0 if one[2] == several[2] and one[0] > 0.7 and several[0] < 0.3 else 1)
PY
