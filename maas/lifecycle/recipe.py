"""A checked recipe made into what the stages take: settings objects that are built once, and parts for each training.

The recipe as data stays with it, for its digests, for what is recorded of it, and for names and folders.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar, cast

from maas.compression.settings import CompressionSettings
from maas.config import Part, RunConfig, composed_sections
from maas.config.schema import digest_of
from maas.data.splits import Splits
from maas.errors import ConfigError, DataError, MaasError
from maas.evidence.baselines import Baseline
from maas.exporting.settings import ExportSettings
from maas.exporting.source import Source
from maas.records.manifest import ServingSettings
from maas.registry.mlflow_registry import MlflowRegistry
from maas.training.checkpoint import Checkpoint
from maas.training.recipe import TrainingRecipe

_T = TypeVar("_T")


@dataclass(frozen=True)
class BuiltRecipe:
    """A checked recipe and what its sections describe.

    Args:
        config: the recipe as data: its digests, and what is recorded of it.
        training: what a net is trained by, its rows among it.
        compression: budget and passes; predictions must agree in it as they must in the bundle's proof, where texts
            are compared by their perplexity.
        export: opset and tolerances.
        serving: batch size and threads that the model is measured and served with.
        registry: where runs and versions are kept; None for nowhere.
        baseline: what a user would pick instead; None for none.
    """

    config: RunConfig
    training: TrainingRecipe
    compression: CompressionSettings
    export: ExportSettings
    serving: ServingSettings
    registry: MlflowRegistry | None
    baseline: Baseline | None

    @classmethod
    def of(cls, config: RunConfig) -> "BuiltRecipe":
        """Builds what a checked recipe describes.

        Raises:
            MaasError: parts refused their arguments, a line each.
        """
        faults: list[MaasError] = []
        training = _tried(lambda: TrainingRecipe.of(config), faults)
        export = _tried(lambda: cast("Part[ExportSettings]", config.export).build(), faults)
        proof = None if config.task == GENERATION else export or ExportSettings()
        compression = _tried(lambda: compression_of(config.compress, proof), faults)
        serving = _tried(lambda: cast("Part[ServingSettings]", config.serve).build(), faults)
        registry = _tried(
            lambda: cast("Part[MlflowRegistry]", config.registry).build() if config.registry else None, faults
        )
        baseline = _tried(lambda: cast("Part[Baseline]", config.baseline).build() if config.baseline else None, faults)
        if faults:
            raise faults[0] if len(faults) == 1 else ConfigError("\n".join(map(str, faults)))
        return cls(config, training, compression, export, serving, registry, baseline)

    def source(self, checkpoint: Checkpoint, rows: Splits) -> Source:
        """Returns a checkpoint as what enters the later stages.

        Args:
            checkpoint: what was trained by this recipe.
            rows: its rows, clean and split.

        Raises:
            DataError: the checkpoint was trained on other rows: test rows may have been learnt.
        """
        require_trained_on(checkpoint, rows)
        return Source.trained(
            checkpoint, rows, opset=self.export.opset, serving=self.serving, metric=self.training.metric
        )


def require_trained_on(checkpoint: Checkpoint, rows: Splits) -> None:
    """Requires rows that a checkpoint was trained on.

    Raises:
        DataError: it was trained on others: test rows may have been learnt.
    """
    found, trained = rows.record.fingerprint, checkpoint.record.data.fingerprint
    if found != trained:
        raise DataError(
            f"The rows are not those that {checkpoint.folder} was trained on (fingerprint {found[:12]}…, was "
            f"{trained[:12]}…). Train again: python -m maas.train recipe={checkpoint.record.name}"
        )


GENERATION, TRANSLATION, SPEECH_TO_TEXT = "generation", "translation", "speech_to_text"
SEQUENCE_TASKS = (TRANSLATION, SPEECH_TO_TEXT)
"""Whose models read what they are given, and write a text of it token by token."""
"""The tasks of recipes whose nets generate texts: that continue others, or are made of others or of sounds."""


def require_later_stages(config: RunConfig) -> None:
    """Requires a recipe whose model every stage after training takes.

    Raises:
        ConfigError: it trains a model that makes texts of others, which is trained and exported alone.
    """
    if config.task == TRANSLATION:
        raise ConfigError(
            f"task is {config.task}; models that translate are trained and exported, and no other stage takes them "
            f"yet. Run python -m maas.train recipe={config.name} and python -m maas.export recipe={config.name}."
        )


def require_text_passes(recipe: BuiltRecipe) -> None:
    """Requires passes that a model that continues texts takes, and a budget of what texts may lose.

    Raises:
        ConfigError: a pass takes checkpoints of nets that predict, or nothing limits the perplexity; or the model
            writes down speech, which no pass takes yet.
    """
    settings = recipe.compression
    if recipe.config.task == SPEECH_TO_TEXT and settings.passes:
        raise ConfigError(
            f"task is {SPEECH_TO_TEXT}, and compress.passes holds {', '.join(settings.passes)}; models that write down "
            "speech take none yet. Set compress=none."
        )
    if recipe.config.task != GENERATION or not settings.passes:
        return
    if pipeline := [*settings.pipeline, *settings.calibration]:
        raise ConfigError(
            f"task is generation, and compress.passes holds {', '.join(pipeline)}, which take nets that predict; "
            "models that generate texts take passes over graphs alone. Set compress=generation, or leave it out: "
            f"~compress.passes.{pipeline[0]}"
        )
    if settings.budget.max_perplexity_ratio is None:
        raise ConfigError(
            f"task is generation, and compress.passes holds {', '.join(settings.passes)} without a limit of what texts "
            "may lose: compress.budget.max_perplexity_ratio is null. Set compress=generation, or compress=none."
        )


GRAPH_SECTIONS = ("compress", "export", "seed")
"""What of a recipe applies to a model that is given without one."""


@dataclass(frozen=True)
class GraphRecipe:
    """What compressing a graph takes that comes without a recipe.

    Args:
        seed: random seed of calibration and search.
        compression: budget and passes.
        export: tolerances of the proof.
        overrides: what the command line changed.
        digest: SHA-256 of all of it.
    """

    seed: int
    compression: CompressionSettings
    export: ExportSettings
    overrides: tuple[str, ...]
    digest: str

    @classmethod
    def of(
        cls,
        overrides: Sequence[str] = (),
        config_dir: str | None = None,
        *,
        generates: bool = False,
        usual: str = "graph",
    ) -> "GraphRecipe":
        """Composes the sections that apply, with the usual `compress` unless the overrides name one.

        Args:
            overrides: `key=value`, as on the command line.
            config_dir: folder of the user's own parts.
            generates: whether the model writes texts, whose proof requires no agreement of predictions.
            usual: part of `compress` where the overrides name none.

        Raises:
            MaasError: faults of the overrides, or a part refused its arguments.
        """
        chosen = () if any(one.startswith("compress=") for one in overrides) else (f"compress={usual}",)
        sections = composed_sections(GRAPH_SECTIONS, [*chosen, *overrides], config_dir)
        export = cast("Part[ExportSettings]", sections["export"]).build()
        return cls(
            seed=cast("int", sections["seed"]),
            compression=compression_of(cast("Part[object]", sections["compress"]), None if generates else export),
            export=export,
            overrides=tuple(overrides),
            digest=digest_of(sections),
        )


def load_rows(config: RunConfig) -> Splits:
    """Loads, cleans and splits the rows of a recipe.

    Raises:
        MaasError: they cannot be read or split.
    """
    return TrainingRecipe.of(config).rows()


def compression_of(section: Part[object], export: ExportSettings | None) -> CompressionSettings:
    """Builds a `compress` section.

    Args:
        section: of a recipe.
        export: whose required agreement holds in the search, too; None where the proof requires none.

    Raises:
        BudgetError: no search can be made by it.
    """
    settings = cast("Part[CompressionSettings]", section).build()
    settings.require_searchable()
    if export is None:
        return settings
    return replace(settings, budget=settings.budget.agreeing(export.min_agreement))


def _tried(make: Callable[[], _T], faults: list[MaasError]) -> _T:
    try:
        return make()
    except MaasError as fault:
        faults.append(fault)
        return cast("_T", None)  # never used: faults end the building
