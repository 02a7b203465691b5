"""A pretrained model that continues texts, taken as it comes: exported with its cache, proven, a bundle."""

import logging
from dataclasses import dataclass
from pathlib import Path

from maas.bounds import Tokens
from maas.errors import ConfigError, one_line
from maas.exporting.bundling import attach_evidence
from maas.exporting.generation_bundling import build_generation_bundle
from maas.exporting.generation_proof import fingerprint_of, proof_prompts, prove_generation
from maas.exporting.settings import ExportSettings
from maas.importing.decoders.pretrained import PretrainedDecoder
from maas.lifecycle.given import new_folder
from maas.lifecycle.lineage import decoder_lineage
from maas.lifecycle.typed_arguments import typed_arguments
from maas.records.evidence import Evidence
from maas.records.manifest import ServingSettings
from maas.runtime.generation.generator import Prompt

log = logging.getLogger("maas")


@dataclass(frozen=True)
class GivenDecoder:
    """A decoder that comes without a recipe, and how it is exported.

    Args:
        model: a folder of Hugging Face, a GGUF file, `package:path` to one of them inside an installed package, or a
            hub id.
        name: name of the bundle; None for that of its folder.
        context: largest number of tokens of a prompt and its text; None for what the model was trained with.
        prompts: text file with a prompt in each line to prove the export with; None for the 50 that ship.
    """

    model: str
    name: str | None = None
    context: Tokens | None = None
    prompts: str | None = None

    @classmethod
    def of(cls, values: dict[str, str]) -> "GivenDecoder":
        """Reads what was typed.

        Args:
            values: by the names of the arguments.

        Raises:
            ConfigError: a value is none that the argument takes.
        """
        return cls(**typed_arguments(cls, values))


def export_decoder(given: GivenDecoder, out: Path) -> Evidence:
    """Writes the bundle of a decoder that generates as its own framework does; else nothing.

    Args:
        given: the decoder.
        out: folder to write, which must not be there.

    Raises:
        ConfigError: there is no such model, or it is none that can be exported.
        ParityError: the graph does not generate as the model's own framework.
    """
    own = _own_prompts(given)
    with new_folder(out) as draft:
        model = PretrainedDecoder.open(given.model, given.context)
        log.info("export    %s layers, context of %s tokens", model.config.layers, model.config.context_length)
        prompts = own or proof_prompts(has_chat_template=model.text_files.chat_template is not None)
        bundle = build_generation_bundle(
            draft,
            model=model,
            name=given.name or out.name,
            serving=ServingSettings(),
            lineage=decoder_lineage(
                {"model": given.model, "context": model.config.context_length}, fingerprint_of(prompts)
            ),
            golden_prompts=prompts,
            opset=ExportSettings().opset,
        )
        log.info("export    %s bytes", bundle.model_path.stat().st_size)
        evidence = prove_generation(bundle, model, prompts)
        (parity,) = evidence.parity
        log.info("verify    %s texts as by %s, logits to %.2g", parity.rows, parity.left, parity.max_difference)
        attach_evidence(bundle, evidence)
    return evidence


def _own_prompts(given: GivenDecoder) -> list[Prompt] | None:
    """Returns the caller's own prompts for the proof; None where none are named.

    Raises:
        ConfigError: the file cannot be read, or holds none.
    """
    if given.prompts is None:
        return None
    try:
        lines = Path(given.prompts).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"prompts is {given.prompts}, which cannot be read: {one_line(error)}.") from error
    if not (found := [line for line in lines if line.strip()]):
        raise ConfigError(f"{given.prompts} holds no prompt; write one in each line.")
    return list(found)
