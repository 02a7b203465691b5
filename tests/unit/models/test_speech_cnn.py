"""Frames and settings of the net that transcribes; what all such nets keep, the contract of transcribing has."""

import pytest
import torch

from maas.errors import ConfigError
from maas.models.keyword_cnn import LogMel
from maas.models.speech_cnn import SpeechCNN

RATE = 8000


@pytest.mark.parametrize(("samples", "frames"), [(8000, 50), (8001, 51), (8080, 51), (8081, 51), (8161, 52)])
def test_row_has_a_frame_for_every_other_hop_when_it_is_as_long_as_can_be(samples, frames):
    net = SpeechCNN(RATE, samples, 4, channels=4, layers=1)
    assert net(torch.zeros(2, samples), torch.tensor([samples, 1])).shape == (2, frames, 4)


@torch.no_grad()
def test_spectrogram_is_that_of_keywords_when_a_sound_fills_its_row():
    torch.manual_seed(0)
    net, samples = SpeechCNN(RATE, RATE, 4).eval(), 0.1 * torch.randn(2, RATE)
    seen = []
    net.first.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    net(samples, torch.tensor([RATE, RATE]))
    size = RATE // 40
    padded = torch.nn.functional.pad(samples, ((size - 1) // 2, size - 1 - (size - 1) // 2))
    torch.testing.assert_close(seen[0], LogMel(RATE, RATE, 40, 25, 10, 20.0)(padded), rtol=0, atol=1e-4)


@torch.no_grad()
def test_logits_are_the_same_when_a_sound_is_made_louder():
    torch.manual_seed(0)
    net, samples = SpeechCNN(RATE, RATE, 4).eval(), 0.1 * torch.randn(1, RATE)
    lengths = torch.tensor([6000])
    torch.testing.assert_close(net(samples * 4, lengths), net(samples, lengths), rtol=0, atol=1e-3)


def test_even_kernel_is_refused_with_the_next_one_when_it_is_set():
    with pytest.raises(ConfigError) as caught:
        SpeechCNN(RATE, RATE, 4, kernel=4)
    assert str(caught.value) == "model.kernel is 4; it must be odd. Set e.g. model.kernel=5."


def test_fixed_weights_are_left_out_when_a_net_is_saved():
    assert not [name for name in SpeechCNN(RATE, RATE, 4).state_dict() if name.startswith(("features", "end"))]
