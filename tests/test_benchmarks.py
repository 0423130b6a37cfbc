"""What the benchmarks count: the time in which a GPU computes, the operations of a step, and what is not recorded."""

import pytest
from common import bert_operations, convolution_operations, merged, report
from torch import nn
from transformers import BertConfig, BertForSequenceClassification


def test_kernels_that_run_at_once_count_once():
    assert merged([(5, 6), (0, 2), (1, 3), (1.5, 2)]) == 4
    assert merged([]) == 0


def test_operations_are_those_of_the_matrices_alone():
    config = BertConfig(
        vocab_size=10, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16
    )  # fmt: skip
    weights = 2 * (4 * 8 * 8 + 2 * 8 * 16)
    model = BertForSequenceClassification(config)
    assert bert_operations(model, 7, training=True) == 6 * weights * 7
    assert bert_operations(model, 7, training=False) == 2 * weights * 7
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    assert convolution_operations(network, 8) == 3 * 2 * (3 * 4 * 9 * 6 * 6 + 4 * 2)


def test_a_trial_is_not_recorded(monkeypatch):
    monkeypatch.setattr("common.add", lambda records: pytest.fail("it was recorded"))
    monkeypatch.setattr("sys.argv", ["finetune_text.py", "--quick", "--record"])
    with pytest.raises(SystemExit, match="Nothing recorded"):
        report("", {"a": 1.0}, source="bundled", record=True)
