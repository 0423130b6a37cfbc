"""Chapter 1's map and table of models, as its own cells compute them, against the published figures."""

from functools import cache
from pathlib import Path

import nbformat
import pytest
import torch
from torchvision.models import get_model_weights
from transformers import BertConfig, BertModel, GPT2Config

import course_utils as cu

NOTEBOOK = Path(__file__).parents[1] / "book/en/01_pretrained_models.ipynb"
TOKENS = 128
CELLS = ("c01-map-models", "c01-cost", "c01-cost-text", "c01-cost-pictures")


@cache
def chapter():
    """What the notebook's own cells define: they are run here, not written a second time."""
    sources = {cell.id: cell.source for cell in nbformat.read(NOTEBOOK, 4).cells}
    names = {"cu": cu, "torch": torch, "BertConfig": BertConfig, "BertModel": BertModel}  # of the cells before
    for cell in CELLS:
        exec(sources[cell], names)
    return names


def test_the_table_has_the_nine_models():
    pictures = {"ResNet-18", "ResNet-50", "VGG-16", "Inception v3", "MobileNet v3", "ViT-B/16"}
    assert set(chapter()["costs"]) == {"GPT-2", "BERT-base", "RoBERTa-base"} | pictures


@pytest.mark.parametrize(
    ("model", "millions"),
    [
        # https://github.com/openai/gpt-2/blob/master/model_card.md: "124 million"
        ("GPT-2", 124),
        # https://arxiv.org/abs/1810.04805, section 3: "BERT-BASE (L=12, H=768, A=12, Total Parameters=110M)"
        ("BERT-base", 110),
        # https://github.com/facebookresearch/fairseq/blob/main/examples/roberta/README.md: "125M"
        ("RoBERTa-base", 125),
    ],
)
def test_weights_of_the_text_models_are_the_published_ones(model, millions):
    parameters, _ = chapter()["costs"][model]
    assert round(parameters / 1e6) == pytest.approx(millions, abs=1)  # the papers round


def test_work_of_bert_is_the_published_one():
    """https://arxiv.org/abs/2003.10555, table 1: 2.9e10 FLOPs for a text of 128 tokens.

    The authors' script (github.com/google-research/electra, flops_computation.py) counts the look-up of a token as a
    multiplication with a row of the vocabulary's length; here it is a look-up, and costs none.
    """
    _, flops = chapter()["costs"]["BERT-base"]
    look_up = 2 * 768 * 30_522 * TOKENS
    assert flops + look_up == pytest.approx(2.9e10, rel=0.03)


@pytest.mark.parametrize("model", ["GPT-2", "BERT-base", "RoBERTa-base"])
def test_work_of_the_text_models_follows_the_published_formula(model):
    """https://arxiv.org/abs/2001.08361, table 1: 2 N FLOPs a token, N weights outside the embeddings, and attention."""
    layers, width = 12, 768
    weights = 12 * layers * width**2
    attention = 2 * layers * TOKENS * width
    _, flops = chapter()["costs"][model]
    assert flops == pytest.approx(TOKENS * (2 * weights + attention), rel=0.03)


@pytest.mark.parametrize("model", ["ResNet-18", "ResNet-50", "VGG-16", "Inception v3", "MobileNet v3", "ViT-B/16"])
def test_weights_and_work_of_the_picture_models_are_torchvisions(model):
    """torchvision publishes both with its weights; a multiplication and an addition count as one there."""
    entry, side = chapter()["picture_models"][model]
    published = get_model_weights(entry).DEFAULT
    parameters, flops = chapter()["costs"][model]
    assert published.transforms().crop_size == [side]
    assert parameters == published.meta["num_params"]
    assert flops / 2e9 == pytest.approx(published.meta["_ops"], abs=0.01)


def test_the_configurations_are_those_of_the_published_checkpoints():
    """config.json of bert-base-uncased, gpt2 and roberta-base on the Hugging Face Hub."""
    bert, gpt2, roberta = BertConfig(), GPT2Config(), chapter()["roberta"]
    shape = ["num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size"]
    assert [getattr(bert, n) for n in shape] == [getattr(roberta, n) for n in shape] == [12, 768, 12, 3072]
    assert (bert.vocab_size, bert.max_position_embeddings, bert.type_vocab_size) == (30_522, 512, 2)
    assert (roberta.vocab_size, roberta.max_position_embeddings, roberta.type_vocab_size) == (50_265, 514, 1)
    assert (gpt2.vocab_size, gpt2.n_positions, gpt2.n_layer, gpt2.n_embd, gpt2.n_head) == (50_257, 1024, 12, 768, 12)


@pytest.mark.parametrize(
    ("model", "smallest", "largest"),
    [
        ("VGG", "vgg11", "vgg19"),
        ("Inception v3", "inception_v3", "inception_v3"),
        ("ResNet", "resnet18", "resnet152"),
        ("MobileNet v3", "mobilenet_v3_small", "mobilenet_v3_large"),
        ("ViT", "vit_b_16", "vit_h_14"),
    ],
)
def test_the_map_shows_the_sizes_of_the_picture_models(model, smallest, largest):
    shown = next(sizes for name, _, *sizes, _ in chapter()["models"] if name == model)
    published = [get_model_weights(entry).DEFAULT.meta["num_params"] / 1e6 for entry in (smallest, largest)]
    assert shown == pytest.approx(published, rel=0.03)


def test_the_map_shows_no_size_for_chatgpt_since_none_is_published():
    assert [model[2:4] for model in chapter()["models"] if model[0] == "ChatGPT"] == [(None, None)]


def test_the_map_is_in_the_order_of_publication():
    years = [year for _, year, *_ in chapter()["models"]]
    assert years == sorted(years)
