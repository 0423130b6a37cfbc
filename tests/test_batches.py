"""The order of training: every example once an epoch, hardly any padding, and nothing but seed and epoch decide it."""

from itertools import pairwise

import pytest
import torch
from test_training import Texts, points, tiny_bert
from torch import nn

from course_utils.batches import IGNORED, collate_for, order_by, training_loader

SIZE, BATCH = 203, 8


def batches(seed=0, epoch=0):
    """Rows of each batch of texts whose lengths vary from 3 to 21."""
    loader = training_loader(Texts(SIZE), tiny_bert(), BATCH, seed, 0)
    order_by(loader.dataset, loader.batch_sampler, seed, epoch)
    return list(loader.batch_sampler)


def padding(rows):
    """Share of the places that would hold padding."""
    lengths = [len(row["input_ids"]) for row in Texts(SIZE).rows]
    places = sum(len(batch) * max(lengths[i] for i in batch) for batch in rows)
    return 1 - sum(lengths) / places


def test_an_epoch_has_every_example_once_and_a_smaller_batch_last():
    rows = batches()
    assert sorted(i for batch in rows for i in batch) == list(range(SIZE))
    assert [len(batch) for batch in rows] == [BATCH] * (SIZE // BATCH) + [SIZE % BATCH]


def test_texts_of_about_the_same_length_are_together():
    by_chance = torch.randperm(SIZE, generator=torch.Generator().manual_seed(0)).split(BATCH)
    assert padding(batches()) < 0.1 < 0.25 < padding([batch.tolist() for batch in by_chance])


def test_short_and_long_batches_come_in_turns_by_chance():
    longest = [max(len(Texts(SIZE)[i]["input_ids"]) for i in batch) for batch in batches()[:-1]]
    rises = sum(a < b for a, b in pairwise(longest)) / len(longest)
    assert longest != sorted(longest) and 0.2 < rises < 0.8


def test_seed_and_epoch_decide_the_order():
    assert batches() == batches()
    assert batches(seed=1) != batches() != batches(epoch=1)
    assert {frozenset(batch) for batch in batches()} != {frozenset(batch) for batch in batches(epoch=1)}


def test_what_has_no_length_is_shuffled_too():
    loader = training_loader(points(50), nn.Linear(4, 2), BATCH, 0, 0)
    rows = [i for batch in loader.batch_sampler for i in batch]
    assert sorted(rows) == list(range(50)) != rows


@pytest.mark.parametrize("pad", [0, 7])
def test_padding_is_the_models_own_and_counts_neither_as_text_nor_as_label(pad):
    model = tiny_bert()
    model.config.pad_token_id = pad
    texts = [{"input_ids": [9] * n, "attention_mask": [1] * n, "labels": [1] * n} for n in (2, 3)]
    batch = collate_for(model)(texts)
    assert batch["input_ids"].tolist() == [[9, 9, pad], [9, 9, 9]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert batch["labels"].tolist() == [[1, 1, IGNORED], [1, 1, 1]]
