"""Proving a drafted bundle that generates: its greedy texts are those of the model's own framework."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from maas.evidence.machine import this_machine
from maas.exporting.logit_parity import ComparedText, compared_text, required_parity
from maas.importing.decoders.base import LanguageModel
from maas.records.evidence import EVIDENCE_VERSION, DataRecord, Evidence
from maas.runtime.bundle import Bundle
from maas.runtime.generation.decoder import TokenIds
from maas.runtime.generation.generator import Prompt, TextGenerator
from maas.runtime.generation.golden import forced_logits
from maas.runtime.generation.opening import open_generator
from maas.runtime.generation.settings import GenerationSettings

PROMPTS = Path(__file__).with_name("prompts.txt")
PROOF_TOKENS = 32
"""New tokens of each text; fewer where the context is shorter than twice as many."""
COMPARED_TOGETHER = 8
"""Texts whose logits are held in memory together."""


def proof_prompts(*, has_chat_template: bool) -> list[Prompt]:
    """Returns the prompts that ship with maas; every second one is a conversation where there is a template."""
    lines = PROMPTS.read_text(encoding="utf-8").splitlines()
    return [
        [{"role": "user", "content": line}] if has_chat_template and index % 2 else line
        for index, line in enumerate(lines)
    ]


def fingerprint_of(prompts: Sequence[Prompt]) -> str:
    """Returns a digest of prompts."""
    return hashlib.sha256(msgspec.json.encode(prompts)).hexdigest()


def prove_generation(
    bundle: Bundle,
    model: LanguageModel,
    prompts: Sequence[Prompt],
    *,
    data: DataRecord | None = None,
) -> Evidence:
    """Compares greedy texts, generated together, with the model's own framework.

    The framework reads each prompt with the text after it at once. Where its likeliest token is the text's at every
    position, its own greedy text is the same; and its logits are compared with those of the graph, which reads the
    same tokens step by step.

    Args:
        bundle: what would ship.
        model: what it was made of.
        prompts: one or more.
        data: rows that the prompts are of; None for prompts alone.

    Raises:
        ParityError: a token is another one, or a logit differs by more than `LOGIT_TOLERANCE`.
    """
    generator = open_generator(bundle.folder, bundle.manifest)
    settings = GenerationSettings(
        max_tokens=min(PROOF_TOKENS, generator.context_length // 2), ignore_end=True, overflow="cut"
    )
    read = [generator.begin(prompt, settings).prompt for prompt in prompts]
    texts = [text.tokens for text in generator.generate(prompts, settings)]
    found = [
        one
        for start in range(0, len(prompts), COMPARED_TOGETHER)
        for one in _compared(
            generator, model, read[start : start + COMPARED_TOGETHER], texts[start : start + COMPARED_TOGETHER]
        )
    ]
    parity = required_parity(model.framework, {f"prompt {index}": one for index, one in enumerate(found)})
    return Evidence(
        schema_version=EVIDENCE_VERSION,
        manifest_sha256=bundle.digest,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=this_machine(),
        data=data or DataRecord(fingerprint_of(prompts), {"prompts": len(prompts)}, {}),
        metrics={},
        parity=(parity,),
        compression=None,
        seconds={},
    )


def _compared(
    generator: TextGenerator, model: LanguageModel, prompts: Sequence[TokenIds], texts: Sequence[Sequence[int]]
) -> Iterator[ComparedText]:
    """Yields how each text compares with the framework's logits."""
    forced = forced_logits(generator.decoder, prompts, texts)
    for prompt, tokens, found in zip(prompts, texts, forced, strict=True):
        reference = model.logits(np.concatenate([prompt, np.array(tokens, np.int64)]))[len(prompt) - 1 : -1]
        yield compared_text(tokens, found, reference, model.framework, generator.tokenizer.decode)
