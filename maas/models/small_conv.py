"""A few convolutions for small pictures, and how every picture net reads pixels."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from maas.bounds import ClosedFraction, Count, Fraction, Positive


class NormalisedPixels(nn.Module):
    """(pixels / 255 - mean) / deviation, channels first.

    It is a part of the net, so that the ONNX graph takes pixels as they are.

    Args:
        in_channels: C.
        mean: mean of the pixels in [0, 1]: one for all channels, or one each.
        deviation: likewise.

    Raises:
        ValueError: neither one number nor one for each channel.
    """

    white: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, in_channels: int, mean: Sequence[float], deviation: Sequence[float]) -> None:
        super().__init__()
        # of three axes, like the others: ONNX Runtime takes 30 times as long to divide pictures by a scalar
        self.register_buffer("white", torch.full((1, 1, 1), 255.0), persistent=False)
        for name, values in (("mean", mean), ("deviation", deviation)):
            if len(values) not in (1, in_channels):
                raise ValueError(
                    f"{name} has {len(values)} numbers; it takes 1, or {in_channels}: one for each channel"
                )
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Returns float32 (N, C, H, W).

        Args:
            pixels: uint8 (N, H, W, C).
        """
        values = pixels.to(torch.float32).permute(0, 3, 1, 2)
        mean, deviation = self.mean[:, None, None], self.deviation[:, None, None]
        return (values / self.white - mean) / deviation


class SmallConv(nn.Module):
    """Convolutions of 3×3 with batch norm and ReLU, each followed by a maximum over 2×2 pixels, and a linear head.

    For pictures of a few dozen pixels a side and data sets of a few hundred rows.

    Args:
        in_channels: C.
        outputs: K.
        widths: channels of each convolution.
        dropout: fraction of averaged features that training drops.
        mean: mean of the pixels in [0, 1]: one for all channels, or one each.
        deviation: likewise.

    Source:
        LeCun et al., Gradient-based learning applied to document recognition (1998); batch norm: arXiv:1502.03167.
    """

    def __init__(
        self,
        in_channels: Count,
        outputs: Count,
        *,
        widths: Sequence[Count] = (16, 32, 64),
        dropout: Fraction = 0.0,
        mean: Sequence[ClosedFraction] = (0.5,),
        deviation: Sequence[Positive] = (0.25,),
    ) -> None:
        super().__init__()
        self.normalised = NormalisedPixels(in_channels, mean, deviation)
        layers: list[nn.Module] = []
        channels = in_channels
        for width in widths:
            layers += [convolution(channels, width), nn.MaxPool2d(2, ceil_mode=True), nn.ReLU()]
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


def convolution(in_channels: int, width: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution that keeps height and width at stride 1, and batch norm, which brings the bias."""
    return nn.Sequential(
        nn.Conv2d(in_channels, width, size, stride, padding=size // 2, bias=False), nn.BatchNorm2d(width)
    )


def initialise_(module: nn.Module) -> None:
    """Draws a convolution's weights so that ReLU layers keep the gradient's size (He et al., arXiv:1502.01852)."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
