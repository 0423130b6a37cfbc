"""The entry points that torch.hub finds at the root of the repository."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertForQuestionAnswering,
    BertModel,
    BertTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
)

import course_utils as cu

ROOT = Path(__file__).parents[1]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"我在北京工作你哪里喜欢户外旅游?"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny BERT that knows the documents' sentences."""
    folder = tmp_path_factory.mktemp("bert")
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    BertForPreTraining(config).save_pretrained(folder)
    BertTokenizer(vocab={word: i for i, word in enumerate(WORDS)}).save_pretrained(folder)
    return str(folder)


@pytest.fixture(params=["package", "repository"], autouse=True)
def repository(request, monkeypatch):
    """Both places where torch.hub may find it: as installed, and as GitHub gives it."""
    monkeypatch.setitem(globals(), "REPOSITORY", cu.hub_repository() if request.param == "package" else str(ROOT))


def load(part, name, **options):
    return torch.hub.load(REPOSITORY, part, name, source="local", **options)  # noqa: F821


def test_every_part_that_the_documents_name_is_there_and_nothing_else(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    parts = vars(importlib.import_module("hubconf"))
    assert sorted(name for name, part in parts.items() if callable(part) and not name.startswith("_")) == [
        "config", "model", "modelForCausalLM", "modelForMaskedLM", "modelForQuestionAnswering",
        "modelForSequenceClassification", "modelWithLMHead", "tokenizer",
    ]  # fmt: skip


def test_shapes_of_the_documents(folder):
    tokenizer = load("tokenizer", folder)
    one = tokenizer("我喜欢户外旅游", return_tensors="pt")
    assert one["input_ids"].shape == (1, 9)
    assert load("model", folder)(**one).last_hidden_state.shape == (1, 9, load("config", folder).hidden_size)
    assert load("modelForMaskedLM", folder)(**one).logits.shape == (1, 9, len(WORDS))
    assert load("modelForSequenceClassification", folder)(**one).logits.shape == (1, 2)
    assert load("modelForSequenceClassification", folder, num_labels=3)(**one).logits.shape == (1, 3)
    two = tokenizer("我在北京工作", "你在哪里工作?", return_tensors="pt")
    assert two["token_type_ids"].tolist() == [[0] * 8 + [1] * 8]
    answer = load("modelForQuestionAnswering", folder)(**two)
    assert answer.start_logits.shape == answer.end_logits.shape == (1, 16)


@pytest.mark.real
def test_the_documents_token_ids_and_shapes():
    """With the vocabulary of bert-base-chinese, and its published sizes on the meta device."""
    tokenizer = BertTokenizer(vocab=str(Path(os.environ["COURSE_MIRROR"]) / "vocab/bert-base-chinese-vocab.txt"))
    one = tokenizer("我喜欢户外旅游", return_tensors="pt")
    assert one["input_ids"].tolist() == [[101, 2769, 1599, 3614, 2787, 1912, 3180, 3952, 102]]
    two = tokenizer("我在北京工作", "你在哪里工作?", return_tensors="pt")
    ids = [101, 2769, 1762, 1266, 776, 2339, 868, 102, 872, 1762, 1525, 7027, 2339, 868, 136, 102]
    assert two["input_ids"].tolist() == [ids]
    assert two["token_type_ids"].tolist() == [[0] * 8 + [1] * 8]
    with torch.device("meta"):
        config = BertConfig(vocab_size=len(tokenizer))
        bert, masked, answers = BertModel(config), BertForMaskedLM(config), BertForQuestionAnswering(config)
    one, two = one["input_ids"].to("meta"), two["input_ids"].to("meta")
    assert bert(one).last_hidden_state.shape == (1, 9, 768)
    assert masked(one).logits.shape == (1, 9, 21128)
    assert answers(two).start_logits.shape == (1, 16)


def test_the_old_name_gives_the_head_that_the_checkpoint_has(folder, tmp_path):
    assert type(load("modelWithLMHead", folder)).__name__ == "BertForMaskedLM"
    GPT2LMHeadModel(GPT2Config(vocab_size=10, n_positions=8, n_embd=8, n_layer=1, n_head=2)).save_pretrained(tmp_path)
    assert type(load("modelWithLMHead", str(tmp_path))).__name__ == "GPT2LMHeadModel"
    assert type(load("modelForCausalLM", str(tmp_path))).__name__ == "GPT2LMHeadModel"


@pytest.mark.parametrize("part", ["tokenizer", "model", "config", "modelWithLMHead"])
def test_an_unknown_model_is_named_with_what_to_do(part, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(OSError, match="'bert-base-klingon' could not be loaded.*Check the spelling"):
        load(part, "bert-base-klingon")
    with pytest.raises(ValueError, match="A model's name is needed"):
        load(part, "")


def test_a_part_that_does_not_exist_is_named():
    with pytest.raises(RuntimeError, match="modelForPoetry"):
        load("modelForPoetry", "bert-base-chinese")


def test_importing_it_loads_nothing():
    code = "import sys, hubconf; print([name for name in ('torch', 'transformers') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
