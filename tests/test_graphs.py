"""Steps as CUDA graphs learn what steps without them learn; what cannot be recorded goes on without, and says why.

Without a GPU, calling the function stands in for recording and replaying it; what only a GPU shows is tested there.
"""

import pytest
import torch
from fake_accelerator import fake_accelerator
from test_training import OPTIONS, Texts, tiny_bert
from torch import nn

from course_utils import graphs
from course_utils.training import fit

pytestmark = pytest.mark.filterwarnings("ignore:'pin_memory' argument is set")
on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
LINE = "Without CUDA graphs, so slower where the model is small: "
FP32 = OPTIONS | {"precision": "fp32"}


@pytest.fixture
def gpu():
    """One that is made believe: graphs are functions that are called again."""
    with fake_accelerator():
        yield


@pytest.fixture
def recorded(monkeypatch):
    """The shapes that were recorded, in order."""
    shapes, inner = [], graphs.Steps._recorded

    def listening(self, inputs, labels, length):
        before = len(self.graphs)
        replay = inner(self, inputs, labels, length)
        shapes.extend([(len(labels), length)] * (len(self.graphs) - before))
        return replay

    monkeypatch.setattr(graphs.Steps, "_recorded", listening)
    return shapes


def without_graphs(monkeypatch):
    monkeypatch.setattr(graphs.Steps, "_graph", lambda *arguments: None)


def test_graphs_learn_what_steps_without_them_learn(gpu, recorded, monkeypatch):
    """Padding to a graph's length changes nothing, and a rate that changes reaches what was recorded."""
    by_graph, by_step = tiny_bert(dropout=0), tiny_bert(dropout=0)
    for model in (by_graph, by_step):
        model.config.attention_probs_dropout_prob = 0
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
    a = fit(by_graph, Texts(), **FP32)
    without_graphs(monkeypatch)
    b = fit(by_step, Texts(), **FP32)
    assert recorded
    torch.testing.assert_close(a.losses, b.losses, rtol=0, atol=1e-5)


def test_one_graph_a_length_the_longest_first_and_none_for_a_smaller_last_batch(gpu, recorded, capsys):
    fit(tiny_bert(), Texts(100), **FP32)
    assert recorded == [(8, 24), (8, 16)]
    assert LINE not in capsys.readouterr().out
