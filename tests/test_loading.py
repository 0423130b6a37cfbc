"""Data on their way to a device: pictures as bytes, processes that load, token ids in little room, Arrow as it is."""

import multiprocessing
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import Dataset, Subset
from torchvision import transforms as v1
from torchvision.models import ResNet18_Weights
from torchvision.transforms import v2
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

import course_utils as cu
from course_utils import batches, inference, loading, runtime
from course_utils.batches import order_by, training_loader
from course_utils.examples import Examples
from course_utils.loading import for_batches, workers_for

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
TAIL = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
TRANSFORMS = {
    "preset": ResNet18_Weights.DEFAULT.transforms(crop_size=24, resize_size=32),
    "v2": v2.Compose([v2.RandomResizedCrop(24), v2.RandomHorizontalFlip(), *TAIL]),
    "v2 without normalisation": v2.Compose([v2.Resize((24, 24)), *TAIL[:2]]),
    "v1": v1.Compose([v1.RandomResizedCrop(24), v1.ColorJitter(0.4), v1.ToTensor(), v1.Normalize(MEAN, STD)]),
}


def pictures(count=6, transform=None):
    drawn = np.random.default_rng(0).integers(0, 256, (count, 40, 36, 3), dtype=np.uint8)
    return cu.Pictures(
        [Image.fromarray(pixels) for pixels in drawn], [i % 2 for i in range(count)], ["a", "b"], transform
    )


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 5, stride=3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


@pytest.mark.parametrize("name", TRANSFORMS)
def test_pictures_travel_as_bytes_and_come_out_as_their_transform_makes_them(name):
    data = pictures(transform=TRANSFORMS[name])
    lean, finish = for_batches(data)
    one_by_one, as_bytes = Examples(data, "classes", 0), Examples(lean, "classes", 0)
    wanted = torch.stack([one_by_one[i][0] for i in range(len(data))])
    sent = torch.stack([as_bytes[i][0] for i in range(len(data))])
    assert sent.dtype == torch.uint8 and data.transform is TRANSFORMS[name]
    made = finish(sent.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(made, wanted, rtol=0, atol=1e-6)
    assert made.is_contiguous(memory_format=torch.channels_last)


def test_a_part_and_torchvisions_folder_travel_as_bytes_too(tmp_path):
    from torchvision.datasets import ImageFolder

    (tmp_path / "a").mkdir()
    Image.new("RGB", (30, 30), "red").save(tmp_path / "a/1.png")
    for data in (ImageFolder(tmp_path, TRANSFORMS["v2"]), Subset(pictures(transform=TRANSFORMS["v2"]), [1])):
        lean, finish = for_batches(data)
        assert lean[0][0].dtype == torch.uint8 and finish(lean[0][0][None]).dtype == torch.float32


class Halved(cu.Pictures):
    def __getitem__(self, index):
        picture, label = super().__getitem__(index)
        return picture / 2, label


@pytest.mark.parametrize(
    "transform",
    [
        lambda picture: torch.zeros(3, 24, 24),
        v2.Compose([*TAIL, v2.RandomErasing(p=1)]),  # draws for each picture anew, at the end
        v2.Compose([v2.ToImage()]),
        None,
    ],
)
def test_what_is_not_known_to_be_alike_for_a_batch_stays_with_each_picture(transform):
    data = pictures(transform=transform)
    assert for_batches(data)[1] is None and for_batches(data)[0].transform is transform
    own = Halved([Image.new("RGB", (40, 40))], [0], ["a"], TRANSFORMS["v2"])
    assert for_batches(own) == (own, None)  # what it does to pictures after their transform is its own


def test_training_and_inference_are_the_same_by_bytes(monkeypatch):
    data = pictures(transform=TRANSFORMS["v2"])
    still = pictures(transform=TRANSFORMS["preset"])

    def run():
        model = network()
        history = cu.fit(model, data, epochs=2, lr=1e-2, batch_size=4, precision="fp32", progress=False)
        return history.losses, cu.predict(model, still, precision="fp32")

    losses, logits = run()
    for module in (batches, inference):
        monkeypatch.setattr(module, "for_batches", lambda data: (data, None))
    old_losses, old_logits = run()
    assert losses == pytest.approx(old_losses, abs=1e-5)
    torch.testing.assert_close(logits, old_logits, rtol=0, atol=1e-5)


def draws(loader, epoch):
    order_by(loader.dataset, loader.batch_sampler, 0, epoch)
    return torch.cat([inputs for inputs, _ in loader])


@pytest.mark.parametrize("start", [None, "spawn"])
def test_processes_that_outlive_an_epoch_draw_each_epochs_own_numbers(start):
    data = pictures(transform=TRANSFORMS["v2"])
    here = training_loader(data, network(), 2, 0, 0)
    there = training_loader(data, network(), 2, 0, 1)
    there.multiprocessing_context = start
    for epoch in range(2):
        torch.testing.assert_close(draws(there, epoch), draws(here, epoch), rtol=0, atol=0)
    assert not torch.equal(draws(here, 0), draws(here, 1))


class Slow(Dataset):
    def __len__(self):
        return 1000

    def __getitem__(self, index):
        CLOCK.now += 0.01
        return torch.zeros(3), 0


CLOCK = SimpleNamespace(now=0.0, perf_counter=lambda: CLOCK.now)


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(runtime, "device", lambda: torch.device("cuda"))
    monkeypatch.setattr(loading, "time", CLOCK)
    monkeypatch.setattr(loading.os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
def test_a_gpus_data_are_loaded_by_processes_where_that_pays(gpu, monkeypatch):
    assert workers_for(Slow(), 16) == {"num_workers": 7, "multiprocessing_context": "fork"}  # 10 s, 8 cores
    assert workers_for(Subset(Slow(), range(100)), 16) == {}  # 1 s
    assert workers_for(Subset(Slow(), range(100)), 16, epochs=10)["num_workers"] == 7
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert workers_for(Slow(), 16)["num_workers"] == 1
    monkeypatch.setattr(loading.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    assert workers_for(Slow(), 16) == {}  # no shared memory to return batches through
    monkeypatch.setattr(runtime, "device", lambda: torch.device("cpu"))
    assert workers_for(Slow(), 16) == {}


def test_no_process_is_left_when_fit_returns():
    data = pictures(transform=TRANSFORMS["v2"])
    cu.fit(network(), data, epochs=2, batch_size=4, num_workers=1, progress=False)
    assert not multiprocessing.active_children()


TOKENIZER = BertTokenizer(vocab={t: i for i, t in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdef"])})
TEXTS = [" ".join("abcdef"[(i * k) % 6] for k in range(1, 3 + i % 5)) for i in range(20)]


def bert():
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=10, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )  # fmt: skip
    return BertForSequenceClassification(config)


def test_a_tokenized_text_takes_2_kb_at_most_and_reads_as_lists(monkeypatch):
    long = SimpleNamespace(texts=[" ".join(["a"] * 600)] * 3, labels=[0, 1, 0])
    data = cu.tokenize(long, TOKENIZER, max_length=512)
    sizes = [
        sys.getsizeof(column[0].base if column[0].base is not None else column[0]) for column in data.encodings.values()
    ]
    assert sum(sizes) <= 2000
    monkeypatch.setattr("course_utils.texts.AT_A_TIME", 7)  # does not divide 20
    data = cu.tokenize(SimpleNamespace(texts=TEXTS, labels=[0] * 20), TOKENIZER)
    wanted = TOKENIZER(TEXTS, return_token_type_ids=False)
    assert [data[i] for i in range(20)] == [
        {"input_ids": ids, "attention_mask": mask, "labels": 0}
        for ids, mask in zip(wanted["input_ids"], wanted["attention_mask"], strict=True)
    ]


def test_ids_beyond_two_bytes_are_whole():
    class Tokenizer:
        def num_special_tokens_to_add(self):
            return 0

        def __call__(self, texts, **options):
            return {"input_ids": [[250_001, 3] for _ in texts], "attention_mask": [[1, 1] for _ in texts]}

    data = cu.tokenize(SimpleNamespace(texts=["a"], labels=[0]), Tokenizer())
    assert data[0]["input_ids"] == [250_001, 3]


def arrow():
    datasets = pytest.importorskip("datasets")
    columns = dict(TOKENIZER(TEXTS)) | {"text": TEXTS, "idx": list(range(20)), "label": [i % 2 for i in range(20)]}
    return datasets.Dataset.from_dict(columns)


def test_a_dataset_of_datasets_goes_in_as_it_is_and_gives_the_same():
    rows = arrow()
    ours = cu.tokenize(SimpleNamespace(texts=TEXTS, labels=[i % 2 for i in range(20)]), TOKENIZER)
    results = []
    for data in (ours, rows):
        model = bert()
        losses = cu.fit(model, data, epochs=2, batch_size=8, precision="fp32", progress=False).losses
        results.append(
            (losses, cu.predict(model, data, precision="fp32"), cu.evaluate(model, data, precision="fp32").loss)
        )
        results[-1] += tuple(cu.embed(model, data, precision="fp32").tensors)
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=1e-6)
    assert batches.lengths_of(rows) == ours.lengths
    assert batches.lengths_of(rows.select([5, 2])) == [ours.lengths[5], ours.lengths[2]]


def test_lengths_of_arrow_are_found_without_reading_rows(monkeypatch):
    rows = arrow()
    monkeypatch.setattr(type(rows), "__getitem__", lambda *args: pytest.fail("a row was read"))
    assert len(batches.lengths_of(rows)) == 20


def test_what_else_a_data_set_knows_of_a_text_stays_there():
    rows = [dict(TOKENIZER(text)) | {"text": text, "idx": i, "label": i % 2} for i, text in enumerate(TEXTS)]
    ours = cu.tokenize(SimpleNamespace(texts=TEXTS, labels=[i % 2 for i in range(20)]), TOKENIZER)
    both = [cu.evaluate(bert(), data, precision="fp32") for data in (rows, ours)]
    assert both[0].loss == pytest.approx(both[1].loss, abs=1e-6) and both[0].confusion == both[1].confusion
    assert set(batches.collate_for(bert())(rows)) == {"input_ids", "token_type_ids", "attention_mask", "labels"}
