"""What a net answers by torch itself."""

import torch

from maas.models.mlp import MLP
from maas.runtime.postprocessors import load_postprocessor
from maas.runtime.processors.array import ArrayProcessor
from maas.training.evaluation import run_of, scores_of
from maas.training.heads import task_head_of


def test_probabilities_are_the_softmax_of_the_logits_when_rows_come_in_batches():
    torch.manual_seed(0)
    net = MLP(in_features=3, outputs=4, hidden=[5]).eval()
    rows = torch.randn(11, 3)
    labels = ["a", "b", "c", "d"]
    run = run_of(net, task_head_of("classification", labels), "probabilities")
    postprocessor = load_postprocessor({"kind": "classification", "labels": labels})
    found = scores_of(run, postprocessor, ArrayProcessor([3]), rows.tolist(), batch_size=4)
    expected = net(rows).exp() / net(rows).exp().sum(dim=1, keepdim=True)
    torch.testing.assert_close(torch.from_numpy(found), expected.detach())


def test_rows_keep_their_order_when_texts_differ_in_length(nets, text_processor):
    torch.manual_seed(0)
    net = nets.Convolution(vocabulary_size=text_processor.net_arguments["vocabulary_size"], outputs=2).eval()
    rows = ["bad", "a very good film with a long and winding plot " * 2, "好", "good " * 9]
    run = run_of(net, task_head_of("classification", ["a", "b"]), "probabilities")
    postprocessor = load_postprocessor({"kind": "classification", "labels": ["a", "b"]})
    together = scores_of(run, postprocessor, text_processor, rows, batch_size=2)
    for row, expected in zip(rows, together, strict=True):
        alone = scores_of(run, postprocessor, text_processor, [row])[0]
        torch.testing.assert_close(torch.from_numpy(alone), torch.from_numpy(expected))
