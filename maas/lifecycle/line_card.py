"""The card of a line: what each stage gave and how long it took."""

from collections.abc import Iterator

from maas.cards import card
from maas.lifecycle.compressed import Compressed
from maas.registry.catalogue.versions import ModelVersion
from maas.run_folders.folder import RunFolder
from maas.runtime.bundle import Bundle
from maas.training.checkpoint import Checkpoint


def line_card(
    folder: RunFolder,
    checkpoint: Checkpoint,
    compressed: Compressed | None,
    bundle: Bundle,
    version: ModelVersion | None,
) -> str:
    """Returns the stages as HTML, with where the bundle lies and the version.

    Args:
        folder: folder of the run.
        checkpoint: what was trained.
        compressed: what was made of it; None where nothing was tried.
        bundle: what ships.
        version: version in the registry; None for none.
    """
    evidence = bundle.evidence
    metric = next(iter(evidence.metrics.get("shipped", {})), None)
    facts = [
        ("bundle", str(bundle.folder)),
        ("version", f"{version.uri}: {version.note}" if version else ""),
        *((f"{metric}, {who}", str(found[metric])) for who, found in evidence.metrics.items() if metric in found),
    ]
    seconds = {**evidence.seconds, **folder.state.seconds}
    gave = dict(_gave(checkpoint, compressed, bundle, version))
    rows = [[stage, gave.get(stage, ""), f"{seconds[stage]:.1f}" if stage in seconds else ""] for stage in gave]
    return card(bundle.manifest.name, "line", facts, ["stage", "gave", "seconds"], rows)


def _gave(
    checkpoint: Checkpoint, compressed: Compressed | None, bundle: Bundle, version: ModelVersion | None
) -> Iterator[tuple[str, str]]:
    record = checkpoint.record
    yield "train", f"epoch {record.best_epoch + 1} of {len(record.history)}" if record.history else "as it came"
    if compressed is not None:
        yield "compress", f"{compressed.record.chosen}, {compressed.model.stat().st_size:,} bytes"
    yield "export", f"bundle, {bundle.model_path.stat().st_size:,} bytes"
    yield "verify", f"{max((one.rows for one in bundle.evidence.parity), default=0):,} rows compared"
    if version is not None:
        yield "register", f"version {version.version}"
