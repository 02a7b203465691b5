"""Residual nets of basic blocks."""

from collections.abc import Sequence

from torch import Tensor, nn

from maas.bounds import ClosedFraction, Count, Fraction, Positive
from maas.models.small_conv import NormalisedPixels, convolution, initialise_


class ResNet(nn.Module):
    """A stem, stages of basic blocks, averaged over the picture, a linear head.

    Each stage but the first halves height and width. The defaults suit small pictures; ResNet-18 is blocks 2, 2, 2, 2
    of widths 64, 128, 256, 512 after a stem of 7×7 at stride 2 with pooling.

    Args:
        in_channels: C.
        outputs: K.
        blocks: number of blocks of each stage.
        widths: channels of each stage.
        stem_size: pixels a side that the stem's convolution sees.
        stem_stride: 2 halves height and width, and costs a quarter of the time of 1.
        stem_pool: whether a maximum over 3×3 pixels at stride 2 follows the stem.
        dropout: fraction of averaged features that training drops.
        mean: mean of the pixels in [0, 1]: one for all channels, or one each.
        deviation: likewise.

    Raises:
        ValueError: `blocks` and `widths` differ in length.

    Source:
        He et al., Deep residual learning for image recognition, arXiv:1512.03385, §3.3 and Table 1.
    """

    def __init__(
        self,
        in_channels: Count,
        outputs: Count,
        *,
        blocks: Sequence[Count] = (1, 1, 1),
        widths: Sequence[Count] = (32, 64, 128),
        stem_size: Count = 3,
        stem_stride: Count = 1,
        stem_pool: bool = True,
        dropout: Fraction = 0.0,
        mean: Sequence[ClosedFraction] = (0.5,),
        deviation: Sequence[Positive] = (0.25,),
    ) -> None:
        super().__init__()
        if len(blocks) != len(widths):
            raise ValueError(f"blocks has {len(blocks)} numbers and widths {len(widths)}; each stage takes one of both")
        self.normalised = NormalisedPixels(in_channels, mean, deviation)
        pool = nn.MaxPool2d(3, stride=2, padding=1) if stem_pool else nn.Identity()
        self.stem = nn.Sequential(convolution(in_channels, widths[0], stem_size, stem_stride), pool, nn.ReLU())
        layers: list[nn.Module] = []
        channels = widths[0]
        for stage, (depth, width) in enumerate(zip(blocks, widths, strict=True)):
            for block in range(depth):
                layers.append(BasicBlock(channels, width, stride=2 if stage and not block else 1))
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
        features = self.body(self.stem(self.normalised(pixels))).mean((2, 3))  # (N, D, H, W) → (N, D)
        logits: Tensor = self.head(self.dropout(features))
        return logits


class BasicBlock(nn.Module):
    """relu(x + F(x)), where F is two convolutions of 3×3 with batch norm and a ReLU between them.

    Where F changes the shape, x goes through a convolution of 1×1 with batch norm (option B).

    Args:
        in_channels: channels of x.
        width: channels of the result.
        stride: 2 halves height and width.

    Source:
        He et al., arXiv:1512.03385, eq. 1 and 2.
    """

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        keeps_shape = stride == 1 and in_channels == width
        self.residual = nn.Sequential(
            convolution(in_channels, width, stride=stride), nn.ReLU(), convolution(width, width)
        )
        self.shortcut = nn.Identity() if keeps_shape else convolution(in_channels, width, size=1, stride=stride)

    def forward(self, features: Tensor) -> Tensor:
        """Returns (N, width, H/stride, W/stride).

        Args:
            features: (N, C, H, W).
        """
        summed: Tensor = self.shortcut(features) + self.residual(features)
        return summed.relu()
