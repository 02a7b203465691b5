"""Low-rank adaptation, by peft: a pretrained model's weights stay, and small products beside them are trained."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel

from maas.bounds import Count, Fraction
from maas.errors import ConfigError

try:
    from peft import LoraConfig, PeftModel, TaskType, get_peft_model
except ImportError as error:
    raise ImportError("peft is not installed. In a checkout of maas: pip install '.[huggingface]'") from error


@dataclass(frozen=True)
class LoRA:
    """W + α/r · B·A in the place of a weight matrix W, of which A (r, D) and B (K, r) are trained; B begins at 0.

    A classifier's head is trained whole beside them. A decoder's embedding and its logits often share their weights:
    such a layer is refused, as its product would be merged into both.

    Args:
        rank: r.
        alpha: α.
        targets: ends of the names of the linear layers that are adapted; none for those usual for the model's type.
        whole: ends of the names of further modules that are trained whole.
        dropout: fraction of a layer's inputs that training drops in front of A.

    Source:
        Hu et al., LoRA, arXiv:2106.09685, §4.1.
    """

    rank: Count = 8
    alpha: Count = 16
    targets: Sequence[str] = ()
    whole: Sequence[str] = ()
    dropout: Fraction = 0.0

    def adapted(self, model: PreTrainedModel) -> PeftModel:
        """Returns the model with A and B added; they and the head alone can be trained.

        Raises:
            ConfigError: a layer that is to be adapted shares its weights with another one.
        """
        _require_untied(model, self.targets, self.whole)
        settings = LoraConfig(
            task_type=TaskType.CAUSAL_LM if model.can_generate() else TaskType.SEQ_CLS,
            r=self.rank,
            lora_alpha=self.alpha,
            target_modules=list(self.targets) or None,
            modules_to_save=list(self.whole) or None,
            lora_dropout=self.dropout,
        )
        return get_peft_model(model, settings)

    def merged(self, model: PeftModel) -> PreTrainedModel:
        """Returns the model with the products added to its weights, and nothing else left of them."""
        merged: PreTrainedModel = model.merge_and_unload()
        return merged.requires_grad_(True)


def _require_untied(model: PreTrainedModel, targets: Sequence[str], whole: Sequence[str]) -> None:
    """Requires layers to be adapted, or trained whole, whose weights are theirs alone.

    Args:
        model: to be adapted.
        targets: ends of names of layers, from a dot on.
        whole: ends of names of modules, wherever they begin, with all that is in them, as peft reads them.

    Raises:
        ConfigError: one shares them with another layer.
    """
    sharing: dict[int, list[str]] = {}
    for name, weight in model.named_parameters(remove_duplicate=False):
        sharing.setdefault(id(weight), []).append(name.rpartition(".")[0])
    for layers in sharing.values():
        if len(layers) == 1:
            continue
        adapted = [one for one in layers if _has_end(f".{one}", [f".{end}" for end in targets])]
        adapted += [one for one in layers if any(_has_end(module, whole) for module in _modules_around(one))]
        if adapted:
            other = next(one for one in layers if one != adapted[0])
            raise ConfigError(
                f"model.adapter names {adapted[0]}, whose weights are those of {other} as well (they are tied), so "
                "that merging would change both. Leave it out of model.adapter.targets and model.adapter.whole, or set "
                "model.adapter=null to train all weights."
            )


def _modules_around(layer: str) -> list[str]:
    """Returns the names of a layer and of the modules that it is in: `a.b`, then `a`."""
    parts = layer.split(".")
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1)]


def _has_end(name: str, ends: Sequence[str]) -> bool:
    return any(name.endswith(end) for end in ends)
