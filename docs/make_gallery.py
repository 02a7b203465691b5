"""Makes docs/gallery.md and its pictures from finished runs of the shipped recipes: `make gallery`.

Only runs of a recipe as it stands count, with whatever seeds there are; a recipe that has none is run first. Recipes of
models that generate texts are left out until the whole line takes them.
`python docs/make_gallery.py NAME …` looks at these recipes alone and leaves the page's other lines out.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

import maas
from maas.config.recipe_files import RECIPES
from maas.errors import InputError
from maas.evidence.plots import robustness_picture
from maas.explaining import Explanation, explain
from maas.records.evidence import Evidence
from maas.run_folders.folder import RunFolder
from maas.run_folders.lookup import runs_of
from maas.runtime.bundle import Bundle

DOCS = Path(__file__).parent
PICTURES = DOCS / "gallery"
HEAD = """\
# Gallery

Every shipped recipe as `python -m maas.run recipe=NAME` leaves it. `make gallery` makes page and pictures again.
Metrics are of what ships, on test rows that nothing was chosen by, with a 95 % interval; in brackets, other seeds.
Minutes are wall time, whatever else the machine had to do.
*Parity* is the largest difference of a number between the model's own framework, ONNX Runtime and onnx's reference
evaluator; *agreement* the fraction of test rows that what ships and the model before compression predict alike.

| recipe | what | metric | baseline | minutes | bytes | shipped as | parity | agreement |
|---|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Entry:
    """A recipe's newest finished run of each seed, the lowest seed first."""

    name: str
    found: tuple[tuple[RunFolder, Bundle], ...]

    @property
    def bundle(self) -> Bundle:
        """The bundle that is shown."""
        return self.found[0][1]

    @property
    def evidence(self) -> Evidence:
        """What is claimed of it."""
        return self.bundle.evidence

    @property
    def metric(self) -> str | None:
        """The recipe's metric."""
        return maas.compose(self.name).metric

    def line(self) -> str:
        """Returns the table's row."""
        folder, bundle = self.found[0]
        evidence, parity = self.evidence, self.evidence.parity
        exact = max(one.max_difference for one in parity if one.tolerance is not None)
        kept = next((one.agreement.value for one in parity if one.right == "shipped"), 1.0)
        cells = (
            f"[`{self.name}`](#{self.name})",
            _what(self.name),
            self._measured("shipped"),
            self._measured("baseline"),
            f"{sum({**folder.state.seconds, **evidence.seconds}.values()) / 60:.1f}",
            f"{bundle.model_path.stat().st_size:,}",
            bundle.manifest.precision,
            f"{exact:.1e}",
            f"{kept:.2%}",
        )
        return f"| {' | '.join(cells)} |"

    def _measured(self, who: str) -> str:
        metric, metrics = self.metric, self.evidence.metrics
        if metric is None or who not in metrics:
            return "–"
        others = (
            [bundle.evidence.metrics[who][metric].value for _, bundle in self.found[1:]] if who == "shipped" else []
        )
        seeds = f" ({', '.join(f'{value:.4f}' for value in others)})" if others else ""
        folds = metrics.get("cross_validated") if who == "shipped" else None
        return f"{metric} {metrics[who][metric]}{seeds}" + (f"; cross-validated {folds[metric]}" if folds else "")

    def section(self) -> str:
        """Returns the recipe's paragraph with its picture."""
        evidence = self.evidence
        where = f"{evidence.machine.processor}, {evidence.machine.cores} cores, {evidence.measured_at[:10]}"
        return f"## {self.name}\n\n{_what(self.name)} Measured on {where}.\n\n![{self.name}](gallery/{self.name}.png)\n"


def entry_of(name: str) -> Entry:
    """Finds a recipe's finished runs; runs it where there are none."""
    found = dict(_finished(name))
    if not found:
        print(f"{name} has no finished run as it stands; running it")
        maas.lifecycle.run(maas.compose(name))
        found = dict(_finished(name))
    return Entry(name, tuple(found[seed] for seed in sorted(found)))


def _finished(name: str) -> Iterator[tuple[int, tuple[RunFolder, Bundle]]]:
    """Yields seed and run, the oldest first, so that the newest wins."""
    for folder in reversed(runs_of(Path("runs"), name)):
        if folder.state.finished and folder.bundle.is_dir():
            bundle = Bundle.open(folder.bundle)
            lineage = bundle.manifest.lineage
            if maas.compose(name, f"seed={lineage.seed}").digest() == lineage.config_sha256:
                yield lineage.seed, (folder, bundle)


def _what(name: str) -> str:
    """Returns what the recipe says of itself before its figures."""
    said = (RECIPES / f"{name}.yaml").read_text(encoding="utf-8").partition("# Metric:")[0]
    return " ".join(line.removeprefix("# ") for line in said.splitlines())


def draw(entry: Entry, path: Path) -> None:
    """Draws one prediction explained, and below it how the metric falls as inputs get worse."""
    explanation = explain(entry.bundle, entry.bundle.golden.inputs[0])
    upper = path.with_suffix(".upper.png")
    try:
        explanation.save(upper)
    except InputError:  # words are shown as text elsewhere
        _bars(explanation, upper)
    parts = [upper]
    if entry.evidence.robustness:
        parts.append(robustness_picture(entry.evidence.robustness, path.with_suffix(".lower.png")))
    pictures = [Image.open(part).convert("RGB") for part in parts]
    page = Image.new("RGB", (max(one.width for one in pictures), sum(one.height for one in pictures)), "white")
    top = 0
    for one in pictures:
        page.paste(one, ((page.width - one.width) // 2, top))
        top += one.height
    page.save(path)
    for part in parts:
        part.unlink()


def _bars(explanation: Explanation, path: Path) -> None:
    """Draws the words that matter most as bars."""
    top = explanation.top(12)[::-1]
    figure = Figure(figsize=(6.4, 0.3 * len(top) + 1.2), layout="constrained")
    axes = figure.subplots()
    values = np.array([value for _, value in top])
    axes.barh(range(len(top)), values, color=np.where(values > 0, "tab:red", "tab:blue"))
    axes.set_yticks(range(len(top)), [part.name for part, _ in top])
    axes.axvline(0, color="grey", linewidth=0.8)
    axes.set(title=explanation.title, xlabel=f"added to the {explanation.quantity}")
    figure.savefig(path, dpi=110, metadata={"Software": None})


def main() -> None:
    """Writes the page."""
    PICTURES.mkdir(exist_ok=True)
    names = sorted(one.stem for one in RECIPES.glob("*.yaml"))
    entries = [entry_of(one) for one in sys.argv[1:] or names if maas.compose(one).task != "generation"]
    for entry in entries:
        draw(entry, PICTURES / f"{entry.name}.png")
    text = HEAD + "\n".join(entry.line() for entry in entries) + "\n\n" + "\n".join(one.section() for one in entries)
    (DOCS / "gallery.md").write_text(text, encoding="utf-8")
    print(f"wrote {DOCS / 'gallery.md'}, {len(entries)} recipes")


if __name__ == "__main__":
    main()
