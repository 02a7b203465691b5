"""Image classifiers of Hugging Face: logits, pictures, and sizes are those of transformers."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageClassification, ViTConfig, ViTForImageClassification, ViTImageProcessor

from maas.config import Part
from maas.errors import ConfigError
from maas.importing.pictures.classifier import ImageClassifier
from maas.importing.pictures.preparation import preparation_of, pretrained_image_processor

TINY = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "image_size": 24,
    "patch_size": 8, "num_labels": 3, "id2label": {0: "a", 1: "b", 2: "c"}, "label2id": {"a": 0, "b": 1, "c": 2},
}  # fmt: skip
SETTINGS = {"size": {"height": 24, "width": 24}, "image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.25, 0.3]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A random ViT with its preprocessor, saved as its authors would."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("vit")
    ViTForImageClassification(ViTConfig(**TINY)).save_pretrained(path)
    ViTImageProcessor(**SETTINGS).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (9, 14, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((70, 45), Image.Resampling.BICUBIC)


def test_logits_are_those_of_transformers_when_a_picture_is_preprocessed(folder, photo):
    processor = pretrained_image_processor(str(folder))
    net = ImageClassifier(3, 3, 24, 24, str(folder)).eval()
    pixels = processor.batch(processor.preprocess([photo]))["pixels"]
    theirs = ViTImageProcessor.from_pretrained(folder)(photo, return_tensors="pt")
    expected = AutoModelForImageClassification.from_pretrained(folder).eval()(**theirs).logits
    torch.testing.assert_close(net(torch.from_numpy(pixels)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"size": {"height": 24, "width": 30}}, (24, 30, None)),
        ({"size": 24}, (24, 24, None)),
        ({"size": 24, "do_center_crop": True, "crop_size": 20}, (20, 20, 24)),
        (
            {"size": {"shortest_edge": 32}, "do_center_crop": True, "crop_size": {"height": 28, "width": 26}},
            (28, 26, 32),
        ),
        ({"size": {"shortest_edge": 28}, "crop_pct": 0.875}, (28, 28, 32)),
        ({"size": {"shortest_edge": 384}, "crop_pct": 1.0}, (384, 384, None)),
    ],
)
def test_size_and_cut_are_the_files_when_it_is_written_in_any_way(settings, expected, tmp_path):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**settings, "do_normalize": False}))
    found = preparation_of(str(tmp_path))
    assert (found.height, found.width, found.shorter_side) == expected
    assert (found.mean, found.deviation) == ((0.0,) * 3, (1.0,) * 3)


def test_pixels_are_transformers_when_the_centre_is_cut_out(photo, tmp_path):
    from transformers import CLIPImageProcessor

    settings = {"size": {"shortest_edge": 32}, "crop_size": {"height": 28, "width": 28}, "resample": 3}
    theirs = CLIPImageProcessor(**settings, do_rescale=False, do_normalize=False)
    theirs.save_pretrained(tmp_path)
    for picture in (photo, photo.rotate(90, expand=True)):
        expected = theirs(picture)["pixel_values"][0]
        processor = pretrained_image_processor(str(tmp_path))
        (found,) = processor.batch(processor.preprocess([picture]))["pixels"]
        difference = np.abs(found.astype(int) - np.transpose(expected, (1, 2, 0)).astype(int))
        assert difference.max() == 0


def test_scale_of_pixels_goes_into_mean_and_deviation_when_it_is_another(tmp_path):
    settings = {**SETTINGS, "rescale_factor": 1 / 127.5}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    found = preparation_of(str(tmp_path))
    pixel = 77.0
    for mean, deviation, their_mean, their_deviation in zip(
        found.mean, found.deviation, SETTINGS["image_mean"], SETTINGS["image_std"], strict=True
    ):
        expected = (pixel / 127.5 - their_mean) / their_deviation
        assert (pixel / 255 - mean) / deviation == pytest.approx(expected)


def test_net_is_rebuilt_without_its_folder_when_its_part_went_through_json(folder):
    net = ImageClassifier(5, 3, 24, 24, str(folder)).eval()
    part = json.loads(json.dumps(net.rebuild()))
    assert str(folder) not in json.dumps(part)
    again = Part.of(part, "net").build()
    again.load_state_dict(net.state_dict())
    pixels = torch.randint(0, 256, (2, 24, 24, 3), dtype=torch.uint8)
    torch.testing.assert_close(again.eval()(pixels), net(pixels), rtol=0, atol=0)


def test_refusal_says_which_processor_to_take_when_pictures_have_another_size(folder):
    with pytest.raises(ConfigError) as caught:
        ImageClassifier(3, 3, 28, 28, str(folder))
    assert str(caught.value).startswith("The net does not take pictures of 28 × 28 × 3: ")
    assert str(caught.value).endswith("Set processor=pretrained_image, which makes pictures as the model takes them.")
    assert len(str(caught.value).splitlines()) == 1


def test_refusal_names_file_and_settings_when_a_folder_has_no_preprocessor(tmp_path):
    with pytest.raises(ConfigError, match=r"has no preprocessor_config\.json that can be read: .* set processor=image"):
        pretrained_image_processor(str(tmp_path))
    (tmp_path / "preprocessor_config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"^The preprocessor_config\.json of .* cannot be read: .* processor=image"):
        pretrained_image_processor(f"{tmp_path}/")
    with pytest.raises(ConfigError, match=r"^processor\.pretrained is missing\."):
        pretrained_image_processor(None)


def test_head_is_the_models_own_when_the_recipe_names_its_labels(folder):
    pixels = torch.randint(0, 256, (2, 24, 24, 3), dtype=torch.uint8)
    whole = ImageClassifier(3, 3, 24, 24, str(folder)).eval()
    net = ImageClassifier(2, 3, 24, 24, str(folder), labels=["c", "a"]).eval()
    torch.testing.assert_close(net(pixels), whole(pixels)[:, [2, 0]], rtol=0, atol=0)
    again = Part.of(json.loads(json.dumps(net.rebuild())), "net").build()
    again.load_state_dict(net.state_dict())
    torch.testing.assert_close(again.eval()(pixels), net(pixels), rtol=0, atol=0)
    with pytest.raises(ConfigError) as caught:
        ImageClassifier(2, 3, 24, 24, str(folder), labels=["a", "bb"])
    assert str(caught.value) == "model.labels has 'bb', which the pretrained model does not know. Did you mean b?"
