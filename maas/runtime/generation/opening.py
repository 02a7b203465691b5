"""From a bundle's files to its generator, compared with its golden texts."""

from pathlib import Path

from maas.errors import BundleError, one_line
from maas.records.manifest import Manifest
from maas.runtime.bundle_files import DECODE, EXPORT, GOLDEN, read_manifest, read_record
from maas.runtime.generation.generator import TextGenerator
from maas.runtime.generation.golden import GOLDEN_TOLERANCE, ROUNDED_TOLERANCE, GoldenText, largest_difference
from maas.runtime.graph import ORT_ERRORS

TEXTS = "texts.json"


def open_generator(folder: Path, manifest: Manifest, *, threads: int | None = None) -> TextGenerator:
    """Opens the generator of a bundle.

    Args:
        folder: folder of the bundle.
        manifest: what it holds.
        threads: intra-op threads instead of the manifest's.

    Raises:
        BundleError: the model predicts, or a file cannot be read.
    """
    if manifest.generation is None:
        raise BundleError(f"{folder} holds a model that predicts; call predict, not generate.")
    return TextGenerator(
        folder / manifest.graphs[DECODE],
        manifest.state,
        manifest.generation,
        folder,
        batch_size=manifest.serving.batch_size,
        threads=threads or manifest.serving.threads,
    )


def golden_prompts(folder: Path, generator: TextGenerator) -> list[str]:
    """Returns the prompts of the golden texts, without special tokens.

    Raises:
        BundleError: they cannot be read.
    """
    golden = read_record(folder / GOLDEN / TEXTS, list[GoldenText])
    return [generator.tokenizer.decode(one.prompt) for one in golden]


def check_golden(folder: Path, generator: TextGenerator) -> float:
    """Compares how likely the golden texts are with how likely they were, and returns the largest difference.

    Raises:
        BundleError: it is too large, or the model cannot read them.
    """
    golden = read_record(folder / GOLDEN / TEXTS, list[GoldenText])
    try:
        found = largest_difference(generator.decoder, golden)
    except ORT_ERRORS as error:
        raise BundleError(f"{folder} cannot read its golden texts: {one_line(error)}. {EXPORT}") from error
    allowed = GOLDEN_TOLERANCE if read_manifest(folder).precision == "fp32" else ROUNDED_TOLERANCE
    if not found <= allowed:
        raise BundleError(
            f"{folder} finds its golden texts less or more likely than when it was made: a log probability differs by "
            f"{found:.3g}, at most {allowed:g} is allowed. It must not be used on this machine."
        )
    return found
