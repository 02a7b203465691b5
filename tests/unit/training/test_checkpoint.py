"""A net on disk can be rebuilt without its training, and is refused when it was altered."""

import hashlib
import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from maas.errors import CheckpointError, MaasError
from maas.models.mlp import MLP
from maas.runtime.processors.array import ArrayProcessor
from maas.training.checkpoint import Checkpoint

ARGUMENTS = {"in_features": 3, "outputs": 2, "hidden": [4], "scale": 0.5}


@pytest.fixture
def checkpoint(save, tmp_path) -> Checkpoint:
    torch.manual_seed(1)
    return save(
        tmp_path / "train", MLP(**ARGUMENTS), ArrayProcessor([3]), "maas.models.mlp.MLP", ("a", "b"), **ARGUMENTS
    )


def changed(checkpoint: Checkpoint, **changes: object) -> None:
    path = checkpoint.folder / "checkpoint.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def refusal(checkpoint: Checkpoint) -> str:
    with pytest.raises(CheckpointError) as caught:
        Checkpoint.open(checkpoint.folder)
    return str(caught.value)


def test_net_answers_alike_when_it_was_saved_and_opened(checkpoint):
    torch.manual_seed(1)
    net, again = MLP(**ARGUMENTS).eval(), Checkpoint.open(checkpoint.folder).model()
    assert not again.training
    rows = torch.randn(5, 3)
    assert torch.equal(net(rows), again(rows))
    assert checkpoint.processor().settings() == ArrayProcessor([3]).settings()


def test_record_is_equal_when_it_was_saved_and_opened(checkpoint):
    assert Checkpoint.open(str(checkpoint.folder)).record == checkpoint.record
    assert checkpoint.record.labels == ("a", "b")


def test_folder_holds_no_pickle_when_it_was_saved(checkpoint):
    names = sorted(
        path.relative_to(checkpoint.folder).as_posix() for path in checkpoint.folder.rglob("*") if path.is_file()
    )
    assert names == ["checkpoint.json", "weights.safetensors"]


def test_bytes_are_equal_when_the_same_net_is_saved_twice(save, checkpoint, tmp_path):
    torch.manual_seed(1)
    twin = save(
        tmp_path / "twin", MLP(**ARGUMENTS), ArrayProcessor([3]), "maas.models.mlp.MLP", ("a", "b"), **ARGUMENTS
    )
    for name in ("checkpoint.json", "weights.safetensors"):
        assert (twin.folder / name).read_bytes() == (checkpoint.folder / name).read_bytes()


def test_weights_are_named_when_a_byte_of_them_changed(checkpoint):
    path = checkpoint.folder / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert refusal(checkpoint) == f"{path} is missing or was altered since training; train again."


def test_weights_are_named_when_they_are_gone(checkpoint):
    (checkpoint.folder / "weights.safetensors").unlink()
    assert "weights.safetensors is missing" in refusal(checkpoint)


def test_training_is_advised_when_the_folder_is_no_checkpoint(tmp_path):
    with pytest.raises(CheckpointError) as caught:
        Checkpoint.open(tmp_path)
    assert str(caught.value) == f"{tmp_path} holds no checkpoint.json; train first: python -m maas.train recipe=NAME."


def test_version_is_told_when_it_is_another(checkpoint):
    changed(checkpoint, schema_version=7)
    assert refusal(checkpoint) == f"{checkpoint.folder} has schema version 7; this maas reads 2 and 3. Train again."


def test_record_is_named_when_it_cannot_be_read(checkpoint):
    changed(checkpoint, novelty=1)
    assert "checkpoint.json cannot be read: " in refusal(checkpoint)


@pytest.mark.parametrize(
    "net",
    [
        {"target": "absent.Net", "arguments": {}},
        {"target": "maas.models.mlp.Absent", "arguments": {}},
        {"target": "maas.models.mlp.MLP", "arguments": {"colour": 1}},
        {"target": "maas.models.mlp.MLP", "arguments": {**ARGUMENTS, "hidden": [5]}},
        {"target": "maas.models.mlp.MLP", "arguments": {**ARGUMENTS, "hidden": []}},
    ],
)
def test_net_is_named_when_it_cannot_be_rebuilt(checkpoint, net):
    changed(checkpoint, net=net)
    with pytest.raises(CheckpointError, match=f"^{net['target']} cannot be rebuilt from "):
        Checkpoint.open(checkpoint.folder).model()


def test_processor_is_refused_when_what_it_learnt_was_altered(token_checkpoint, tmp_path):
    import shutil

    shutil.copytree(token_checkpoint.folder, tmp_path / "train")
    (tmp_path / "train/processor/tokenizer.json").write_text("{}")
    with pytest.raises(MaasError):
        Checkpoint.open(tmp_path / "train").processor()


def test_net_is_saved_when_two_layers_share_a_weight(save, nets, tmp_path):
    torch.manual_seed(0)
    net = nets.Tied(in_features=3, outputs=2).eval()
    saved = save(tmp_path / "train", net, ArrayProcessor([3]), "small_nets.Tied", ("a", "b"), in_features=3, outputs=2)
    rows = torch.randn(2, 3)
    assert torch.equal(saved.model()(rows), net(rows))
    held = load_file(saved.folder / "weights.safetensors")
    assert sum(tensor.numel() for tensor in held.values()) == sum(one.numel() for one in net.parameters())
    assert {*held, *saved.record.tied} == set(net.state_dict())
    again = saved.succeeded_by(tmp_path / "again", saved.model(), rows=[[1.0, 2.0, 3.0]])
    assert (again.folder / "weights.safetensors").read_bytes() == (saved.folder / "weights.safetensors").read_bytes()


def test_net_is_opened_when_its_file_holds_a_shared_weight_twice(save, nets, tmp_path):
    torch.manual_seed(0)
    net = nets.Tied(in_features=3, outputs=2).eval()
    saved = save(tmp_path / "train", net, ArrayProcessor([3]), "small_nets.Tied", ("a", "b"), in_features=3, outputs=2)
    path = saved.folder / "weights.safetensors"
    save_file({name: tensor.clone() for name, tensor in net.state_dict().items()}, path)  # as versions before did
    record = json.loads((saved.folder / "checkpoint.json").read_text())
    del record["tied"]
    record["files"]["weights.safetensors"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (saved.folder / "checkpoint.json").write_text(json.dumps(record))
    rows = torch.randn(2, 3)
    assert torch.equal(Checkpoint.open(saved.folder).model()(rows), net(rows))


def test_old_checkpoint_stays_when_saving_fails(save, checkpoint):
    class Broken(ArrayProcessor):
        def save(self, folder):
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        save(checkpoint.folder, nn.Linear(1, 1), Broken([3]), "torch.nn.Linear", ("a",), in_features=1, out_features=1)
    assert Checkpoint.open(checkpoint.folder).record == checkpoint.record
