"""Nets of others that take floats: their layout, their scaling, their weights from a file."""

import json
import logging
from functools import partial

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from maas.config import Part
from maas.errors import ConfigError
from maas.importing.pictures.picture_net import PictureNet

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Theirs(nn.Module):
    """A net in the form of torchvision's: floats channels first, 1000 labels unless it is told otherwise."""

    def __init__(self, width: int = 4, num_classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.fc = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x).mean((2, 3)))


class Last(Theirs):
    """The same, of pictures with the channels last."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 3, 1, 2))


HERE = f"{Theirs.__module__}.Theirs"


@pytest.fixture
def pixels() -> Tensor:
    torch.manual_seed(3)
    return torch.randint(0, 256, (2, 12, 10, 3), dtype=torch.uint8)


@pytest.mark.parametrize(("kind", "layout"), [(Theirs, "channels_first"), (Last, "channels_last")])
def test_net_gets_scaled_floats_in_its_layout(kind, layout, pixels):
    net = PictureNet(5, 3, 12, 10, partial(kind, width=6), layout=layout).eval()
    values = (pixels.float() / 255 - torch.tensor(MEAN)) / torch.tensor(DEVIATION)
    expected = Theirs.forward(net.net, values.permute(0, 3, 1, 2))
    torch.testing.assert_close(net(pixels), expected)
    assert net(pixels).shape == (2, 5)
    assert net.train().net.training


def test_net_is_found_by_its_import_path_and_rebuilt_without_its_file(pixels, tmp_path):
    torch.save(
        {"state_dict": {f"module.{name}": one for name, one in Theirs().state_dict().items()}}, tmp_path / "w.pt"
    )
    net = PictureNet(5, 3, 12, 10, HERE, weights=str(tmp_path / "w.pt")).eval()
    part = json.loads(json.dumps(net.rebuild()))
    assert str(tmp_path) not in json.dumps(part)
    again = Part.of(part, "model").build()
    again.load_state_dict(net.state_dict())
    torch.testing.assert_close(again.eval()(pixels), net(pixels), rtol=0, atol=0)


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_weights_are_the_files_but_for_a_head_of_other_labels(name, tmp_path, caplog):
    theirs = Theirs()
    (torch.save if name == "w.pth" else save_file)(theirs.state_dict(), tmp_path / name)
    with caplog.at_level(logging.INFO, "maas"):
        net = PictureNet(5, 3, 12, 10, Theirs, weights=str(tmp_path / name))
    assert caplog.messages == ["model     these weights begin at random: fc.bias, fc.weight"]
    for key, value in theirs.state_dict().items():
        assert key.startswith("fc.") or torch.equal(net.net.state_dict()[key], value)


def test_refusal_is_one_line_with_a_remedy_when_a_file_is_of_another_net_or_none(tmp_path):
    torch.save({"other.weight": torch.zeros(3)}, tmp_path / "other.pt")
    torch.save(torch.zeros(3), tmp_path / "tensor.pt")
    (tmp_path / "text.pt").write_text("no weights")
    cases = {
        "other.pt": r"holds other\.weight; none is a weight of the net, which has features\.0\.weight",
        "tensor.pt": r"holds a Tensor; it must be a state_dict",
        "text.pt": r"cannot be read as a state_dict of torch or safetensors: ",
    }
    for name, message in cases.items():
        with pytest.raises(ConfigError, match=message) as caught:
            PictureNet(5, 3, 12, 10, Theirs, weights=str(tmp_path / name))
        assert len(str(caught.value).splitlines()) == 1


def test_refusal_says_what_to_name_when_a_net_cannot_be_built_again():
    with pytest.raises(
        ConfigError, match=r"^model\.net is a Theirs; it must be what makes the net, so that a checkpoint"
    ):
        PictureNet(5, 3, 12, 10, Theirs())
    with pytest.raises(ConfigError, match=r"^model\.net is .*<lambda>, which no module has, so that a checkpoint"):
        PictureNet(5, 3, 12, 10, lambda: Theirs(5))
    with pytest.raises(ConfigError, match=r"^'no\.such\.net' cannot be imported: "):
        PictureNet(5, 3, 12, 10, "no.such.net")


def test_refusal_says_how_many_outputs_are_wanted_when_a_net_gives_others():
    with pytest.raises(ConfigError) as caught:
        PictureNet(5, 3, 12, 10, partial(Theirs, num_classes=7))
    assert str(caught.value) == (
        "The net gives numbers of shape [1, 7] for a picture; the data wants logits of shape [1, 5]. Set its number of "
        "outputs, e.g. num_classes: 5."
    )


def test_refusal_says_what_to_set_when_a_net_takes_other_channels():
    with pytest.raises(ConfigError, match=r"^The net does not take pictures of 12 × 10 × 1: .* Set processor\.height"):
        PictureNet(5, 1, 12, 10, Theirs, mean=[0.5], deviation=[0.5])
