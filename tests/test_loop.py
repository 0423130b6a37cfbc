"""The loop that chapter 7 writes out by hand is what `fit` does, once its additions are switched off."""

import copy
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import torch
from torch.utils.data import DataLoader
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer, DataCollatorWithPadding

import course_utils as cu
from course_utils import runtime

CHAPTER = Path(__file__).parents[1] / "book/en/07_sentiment_finetuning.ipynb"


def loop_of_the_chapter():
    """From the first line of the loop on: what comes before makes model, optimizer and loader."""
    cells = [cell.source for cell in nbformat.read(CHAPTER, 4).cells if cell.cell_type == "code"]
    (cell,) = [source for source in cells if "loss.backward()" in source and "for batch in loader" in source]
    return cell[cell.index("model.train()") :]


@pytest.fixture
def texts():
    tokenizer = BertTokenizer(
        vocab={token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdef"])}
    )
    made = [" ".join("abcdef"[(i * k) % 6] for k in range(1, 3 + i % 5)) for i in range(40)]
    split = SimpleNamespace(texts=made, labels=[i % 2 for i in range(40)])
    return tokenizer, cu.tokenize(split, tokenizer)


def test_fit_without_its_additions_gives_the_weights_of_the_loop(texts, capsys):
    tokenizer, data = texts
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=10, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        hidden_dropout_prob=0, attention_probs_dropout_prob=0,
    )  # fmt: skip
    by_hand = BertForSequenceClassification(config)
    by_fit = copy.deepcopy(by_hand)
    loader = DataLoader(data, batch_size=16, collate_fn=DataCollatorWithPadding(tokenizer))
    here = SimpleNamespace(device=runtime.device())

    model = by_hand.to(here.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    exec(loop_of_the_chapter(), {"model": model, "optimizer": optimizer, "loader": loader, "runtime": here})

    cu.fit(
        by_fit,
        loader,
        epochs=1,
        groups=[{"params": list(by_fit.parameters()), "lr": 1e-3, "weight_decay": 0.01}],  # biases too
        recipe=cu.Recipe(warmup=0, decay=False, max_grad_norm=float("inf")),
        precision="fp32",
        progress=False,
    )
    assert capsys.readouterr().out.count("loss") == 3  # the chapter prints each step's
    for a, b in zip(by_hand.parameters(), by_fit.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)
