"""Image classifiers of Hugging Face as nets: pixels in, logits out, mean and deviation inside."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from maas.bounds import ClosedFraction, Count, Fraction, NonNegativeCount, Positive
from maas.errors import ConfigError
from maas.importing.pictures.picture_net import require_logits_of_pictures
from maas.importing.pictures.preparation import preparation_of
from maas.models.pretrained import plain_config_of, pretrained_model
from maas.models.small_conv import NormalisedPixels
from maas.suggesting import nearest_of

try:
    from transformers import AutoModelForImageClassification
except ImportError as error:
    raise ImportError("transformers is not installed. In a checkout of maas: pip install '.[huggingface]'") from error

PROCESSOR_REMEDY = "Set processor=pretrained_image, which makes pictures as the model takes them."
UNSCALED = (0.5,)
"""Mean and deviation of a model that is not pretrained."""


class ImageClassifier(nn.Module):
    """A pretrained image classifier: ViT, Swin, ConvNeXT, ResNet, and whatever else transformers has.

    Its head begins at random where the pretrained model has none of its size. Take `processor=pretrained_image`, which
    makes pictures as large as the model was trained on.

    Args:
        outputs: K.
        in_channels: C.
        height: H.
        width: W.
        pretrained: a folder, `package:path` inside an installed package, or a hub id.
        labels: what the model itself calls the data's labels, in the data's order, so that its own head is kept, e.g.
            to take it as it comes; null gives it a head of the data's labels.
        dropout: fraction that training drops wherever the model drops anything; null keeps the model's own.
        mean: mean of the pixels in [0, 1], one a channel; null is that of the model's preprocessor_config.json.
        deviation: likewise.
        config: configuration of transformers, for a model that is not pretrained.
        order: positions of the K outputs among the model's own; found by `labels`.

    Raises:
        ConfigError: there is no model to be found, it does not take pictures of this size, or has no such labels.
    """

    def __init__(
        self,
        outputs: Count,
        in_channels: Count,
        height: Count,
        width: Count,
        pretrained: str | None = None,
        *,
        labels: Sequence[str] | None = None,
        dropout: Fraction | None = None,
        mean: Sequence[ClosedFraction] | None = None,
        deviation: Sequence[Positive] | None = None,
        config: Mapping[str, Any] | None = None,
        order: Sequence[NonNegativeCount] | None = None,
    ) -> None:
        super().__init__()
        keeps_head = labels is not None or order is not None
        settings = {} if keeps_head else {"num_labels": outputs}
        self.model: Any = pretrained_model(AutoModelForImageClassification, pretrained, config, dropout, **settings)
        self.order = list(order) if order is not None else _order_of(self.model.config.id2label or {}, labels)
        if pretrained is not None and (mean is None or deviation is None):
            found = preparation_of(pretrained)
            mean, deviation = mean or found.mean, deviation or found.deviation
        self._arguments = {"outputs": outputs, "in_channels": in_channels, "height": height, "width": width}
        self._scaling = {"mean": list(mean or UNSCALED), "deviation": list(deviation or UNSCALED)}
        self.normalised = NormalisedPixels(in_channels, self._scaling["mean"], self._scaling["deviation"])
        require_logits_of_pictures(self, (height, width, in_channels), outputs, PROCESSOR_REMEDY)

    def forward(self, pixels: Tensor) -> Tensor:
        """Returns logits.

        Args:
            pixels: uint8 (N, H, W, C).

        Returns:
            (N, K)
        """
        logits: Tensor = self.model(pixel_values=self.normalised(pixels)).logits
        return logits if self.order is None else logits[:, self.order]

    def rebuild(self) -> dict[str, Any]:
        """Returns the part that builds this net without its pretrained weights."""
        config = plain_config_of(self.model)
        order = {} if self.order is None else {"order": self.order}
        target = f"{__name__}.{type(self).__name__}"
        return {"_target_": target, **self._arguments, **self._scaling, **order, "config": config}


def _order_of(names: Mapping[int, str], labels: Sequence[str] | None) -> list[int] | None:
    """Returns the positions of labels among a model's own.

    Raises:
        ConfigError: the model has none of that name.
    """
    if labels is None:
        return None
    places = {name: place for place, name in names.items()}
    for label in labels:
        if label not in places:
            hint = nearest_of(label, list(places))
            raise ConfigError(f"model.labels has {label!r}, which the pretrained model does not know.{hint}")
    return [places[label] for label in labels]
