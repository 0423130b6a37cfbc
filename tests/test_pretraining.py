"""The recipe of bert-mini: its vocabulary, its two tasks, what it leaves out, and that it learns."""

import json
import re
from argparse import Namespace

import pretrain_bert
import pytest
import torch
from pretrain_bert import SPECIAL, MaskedPretraining, SentencePairs, mask_tokens, pretraining_loss
from record import write_record
from torch import nn
from transformers import AutoTokenizer, BertForMaskedLM, BertForPreTraining, DataCollatorForLanguageModeling

import course_utils as cu
from course_utils.history import History


@pytest.fixture(scope="module")
def texts():
    return [pretrain_bert.sentences(text) * 3 for text in cu.load_reviews("en").train.texts[:100]]


@pytest.fixture(scope="module")
def tokenizer(texts):
    return pretrain_bert.train_tokenizer(texts, 1000)


@pytest.fixture(scope="module")
def pairs(texts, tokenizer):
    return SentencePairs(texts, tokenizer)


def test_sentences_keep_every_character_that_is_not_white_space():
    text = "It is late.<br /><br />Is it? Yes! 很好。下次还来，一定！"
    assert pretrain_bert.sentences(text) == ["It is late.", "Is it?", "Yes!", "很好。", "下次还来，", "一定！"]
    assert pretrain_bert.sentences(" ") == []


def test_the_vocabulary_begins_with_berts_special_tokens_and_splits_what_it_does_not_know(tokenizer):
    assert tokenizer.convert_tokens_to_ids(SPECIAL) == [0, 1, 2, 3, 4]
    assert len(tokenizer) == 1000
    assert tokenizer("good", "bad")["token_type_ids"] == [0, 0, 0, 1, 1]
    assert len(tokenizer.tokenize("unbelievably")) > 1 and "[UNK]" not in tokenizer.tokenize("unbelievably")


def test_masking_is_the_80_10_10_rule_of_the_library(tokenizer):
    torch.manual_seed(0)
    input_ids = torch.randint(len(SPECIAL), len(tokenizer), (200_000,))
    input_ids[::10] = tokenizer.sep_token_id
    library = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15)
    theirs = [both[0] for both in library.torch_mask_tokens(input_ids[None].clone())]
    for seen, labels in (mask_tokens(input_ids, tokenizer), theirs):
        chosen = labels != -100
        assert (labels[chosen] == input_ids[chosen]).all() and (seen[~chosen] == input_ids[~chosen]).all()
        assert chosen.float().mean().item() == pytest.approx(0.15 * 0.9, abs=0.005)
        assert (seen[::10] == tokenizer.sep_token_id).all()  # special tokens are never asked for
        hidden, kept = seen[chosen] == tokenizer.mask_token_id, seen[chosen] == input_ids[chosen]
        assert hidden.float().mean().item() == pytest.approx(0.8, abs=0.01)
        assert kept.float().mean().item() == pytest.approx(0.1, abs=0.01)


def test_a_tokenizer_without_mask_is_named(texts):
    without = pretrain_bert.train_tokenizer(texts, 200)
    without.mask_token = None
    with pytest.raises(ValueError, match="no mask token"):
        mask_tokens(torch.arange(10), without)


def test_a_pair_is_two_pieces_of_text_and_half_of_the_seconds_are_the_continuation(pairs, tokenizer):
    torch.manual_seed(0)
    labels = []
    for index in range(len(pairs)):
        example = pairs[index]
        ids, segments = example["input_ids"], example["token_type_ids"]
        true = torch.where(example["masked"], example["labels"], ids)
        ends = (true == tokenizer.sep_token_id).nonzero().flatten().tolist()
        assert len(ids) <= pairs.max_length and true[0] == tokenizer.cls_token_id
        assert len(ends) == 2 and ends[1] == len(ids) - 1
        assert segments.tolist() == [0] * (ends[0] + 1) + [1] * (ends[1] - ends[0])
        labels.append(example["labels"][0].item())
        start, end = pairs.pieces[index]
        piece = pairs.ids[pairs.ends[start] : pairs.ends[end]].tolist()
        first, second = true[1 : ends[0]].tolist(), true[ends[0] + 1 : -1].tolist()
        assert piece[: len(first)] == first
        if labels[-1] == 0:
            assert first + second == piece
    assert 0.3 < sum(labels) / len(labels) < 0.7


def test_a_text_of_one_sentence_has_no_pair_and_an_endless_sentence_is_cut(tokenizer):
    pairs = SentencePairs([["good."], ["good."] * 2, ["word " * 100_000, "bad."]], tokenizer)
    assert len(pairs) == 2 and max(pairs.lengths) <= pairs.max_length - 3


def test_scores_of_the_masked_places_alone_give_the_published_loss(pairs, tokenizer):
    """BertForPreTraining computes the same sum, from scores at every place."""
    model = pretrain_bert.new_model(tokenizer).eval()
    example = pairs[0]
    labels = example.pop("labels")[None]
    inputs = {name: value[None] for name, value in example.items()}
    ours = pretraining_loss(MaskedPretraining(model)(**inputs), labels)
    inputs.pop("masked")
    words = labels.clone()
    words[:, 0] = -100
    published = model(**inputs, labels=words, next_sentence_label=labels[:, 0]).loss
    assert ours.item() == pytest.approx(published.item(), rel=1e-5)


def test_it_learns_saves_halves_and_loads_whole(pairs, tokenizer, tmp_path):
    torch.manual_seed(0)
    model = pretrain_bert.new_model(tokenizer)
    history = cu.fit(
        MaskedPretraining(model), pairs, epochs=3, lr=2e-3, batch_size=8, loss=pretraining_loss, progress=False
    )
    assert history["loss"][-1] < history["loss"][0] - 0.3
    tokenizer("good food", truncation=True, max_length=3)
    pretrain_bert.save(model, tokenizer, tmp_path)
    again = BertForPreTraining.from_pretrained(tmp_path)
    assert again.dtype == torch.float32 and again.config.hidden_dropout_prob == 0.1
    assert any(m.p == 0.1 for m in again.modules() if isinstance(m, nn.Dropout))
    assert AutoTokenizer.from_pretrained(tmp_path).tokenize("good food") == tokenizer.tokenize("good food")
    assert json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))["truncation"] is None
    assert "max_length" not in json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    scores = pretrain_bert.held_out_scores(MaskedPretraining(again), pairs)
    assert set(scores) == {"masked_token_accuracy", "masked_token_loss", "next_sentence_accuracy"}
    assert scores["masked_token_accuracy"] > 0.03  # the most frequent token alone gives about that
    assert isinstance(BertForMaskedLM.from_pretrained(tmp_path), BertForMaskedLM)
    onward = pretrain_bert.new_model(tokenizer, start_from=tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(onward.parameters(), again.parameters(), strict=True))
    assert not any(m.p for m in onward.modules() if isinstance(m, nn.Dropout))


def test_the_record_of_a_training_that_went_on_from_another_is_of_both(tmp_path):
    losses = [float(step) for step in range(250)]
    history = History([{"epoch": 1, "loss": 2.0, "examples_per_second": 10.0}], losses=losses)
    options = Namespace(lr=0.1, start_from=None, out=tmp_path)

    def written(before=None):
        write_record(tmp_path, lambda record: f"{record['steps']} steps", history, options, 600, before)
        return json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))

    first = written()
    both = written(before=first)
    of_three = written(before=both)
    assert first["options"] == {"lr": 0.1} and first["loss_curve"][:2] == [0.5, 2.5] and first["minutes"] == 1
    assert both["loss_curve"] == 2 * first["loss_curve"] and both["minutes"] == 2 and both["steps"] == 500
    assert of_three["loss_curve"] == 3 * first["loss_curve"], "each point is the mean of as many steps"
    assert [row["epoch"] for row in both["history"]] == [1, 2]
    assert both["command"] == f"{first['command']} && {first['command']}"
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "750 steps"
    assert both["precision"] == first["precision"]
    on_two_machines = written(before=written(before=first | {"precision": "another"}))
    assert on_two_machines["precision"] == f"another, then {first['precision']}"


@pytest.mark.real
@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_labelled_review_is_in_the_text_to_learn_from(cache_of_real_data, language):
    train, held_out = pretrain_bert.read_corpus(language)
    assert len(train) > 45_000 and 400 < len(held_out) < 1000
    key = lambda text: re.sub(r"\W", "", text.casefold())  # noqa: E731
    corpus = {key("".join(text)) for text in train + held_out}
    corpus |= {key(sentence) for text in train + held_out for sentence in text if len(sentence) > 20}
    reviews = cu.load_reviews(language)
    labelled = {key(text) for split in (reviews.train, reviews.validation, reviews.test) for text in split.texts}
    assert not corpus & {text for text in labelled if len(text) > 20}
