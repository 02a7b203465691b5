"""VGG: stages of 3×3 convolutions, each followed by a maximum over 2×2 pixels."""

from collections.abc import Sequence

from torch import Tensor, nn

from maas.bounds import ClosedFraction, Count, Fraction, Positive
from maas.models.small_conv import NormalisedPixels, convolution, initialise_


class VGG(nn.Module):
    """Stages of convolutions with batch norm and ReLU, averaged over the picture, a linear head.

    Pictures of any size fit: height and width are halved after each stage, rounded up.

    Args:
        in_channels: C.
        outputs: K.
        stages: convolutions of each stage; VGG-16 has 2, 2, 3, 3, 3.
        widths: channels of each stage; VGG-16 has 64, 128, 256, 512, 512.
        dropout: fraction of averaged features that training drops.
        mean: mean of the pixels in [0, 1]: one for all channels, or one each.
        deviation: likewise.

    Raises:
        ValueError: `stages` and `widths` differ in length.

    Source:
        Simonyan and Zisserman, Very deep convolutional networks, arXiv:1409.1556; batch norm (arXiv:1502.03167) and the
        average in place of its two hidden linear layers (arXiv:1312.4400) are additions.
    """

    def __init__(
        self,
        in_channels: Count,
        outputs: Count,
        *,
        stages: Sequence[Count] = (1, 2, 2, 1),
        widths: Sequence[Count] = (16, 32, 64, 128),
        dropout: Fraction = 0.0,
        mean: Sequence[ClosedFraction] = (0.5,),
        deviation: Sequence[Positive] = (0.25,),
    ) -> None:
        super().__init__()
        if len(stages) != len(widths):
            raise ValueError(f"stages has {len(stages)} numbers and widths {len(widths)}; each stage takes one of both")
        self.normalised = NormalisedPixels(in_channels, mean, deviation)
        layers: list[nn.Module] = []
        channels = in_channels
        for depth, width in zip(stages, widths, strict=True):
            for place in range(depth):
                pool = [nn.MaxPool2d(2, ceil_mode=True)] if place == depth - 1 else []
                layers += [convolution(channels, width), *pool, nn.ReLU()]
                channels = width
        self.body = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(channels, outputs)
        self.apply(initialise_)

    def forward(self, pixels: Tensor) -> Tensor:
        """Returns logits.

        Args:
            pixels: uint8 (N, H, W, C).

        Returns:
            (N, K)
        """
        features = self.body(self.normalised(pixels)).mean((2, 3))  # (N, D, H, W) → (N, D)
        logits: Tensor = self.head(self.dropout(features))
        return logits
