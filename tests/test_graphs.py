"""Steps as CUDA graphs learn what steps without them learn; what cannot be recorded goes on without, and says why.

Without a GPU, calling the function stands in for recording and replaying it; what only a GPU shows is tested there.
"""

import random
from contextlib import nullcontext
from itertools import count
from types import SimpleNamespace

import pytest
import torch
from fake_accelerator import called_instead, fake_accelerator
from test_training import OPTIONS, Texts, changed, tiny_bert, weights_of
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from transformers import BertConfig, BertForSequenceClassification, BertForTokenClassification

from course_utils import batches, graphs, inference, training
from course_utils.batches import collate_for
from course_utils.inference import embed, evaluate, predict
from course_utils.training import fit

pytestmark = pytest.mark.filterwarnings("ignore:'pin_memory' argument is set")
FP32 = OPTIONS | {"precision": "fp32", "epochs": 1}


@pytest.fixture
def gpu():
    """A GPU; where there is none, one that is made believe, whose graphs are functions that are called again."""
    if torch.cuda.is_available():
        yield
    else:
        with fake_accelerator():
            yield


@pytest.fixture
def recorded(monkeypatch):
    """The shapes that were recorded, in order; to record must change nothing."""
    shapes, inner = [], graphs.Steps._recorded

    def listening(self, inputs, labels):
        known, before = len(self.graphs), weights_of(self.step.model)
        replay = inner(self, inputs, labels)
        shapes.extend([tuple(inputs["input_ids"].shape)] * (len(self.graphs) - known))
        assert changed(self.step.model, before) == set()
        assert all(isinstance(g["lr"], float) and not g["capturable"] for g in self.step.optimizer.param_groups)
        return replay

    monkeypatch.setattr(graphs.Steps, "_recorded", listening)
    return shapes


def without_graphs(*arguments, **options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graphs.Steps, "_graph", lambda *arguments: None)
        return fit(*arguments, **options)


class WordsOnAverage(nn.Module):
    """With batch norm, whose statistics change at every step; NaN where token 40 occurs."""

    def __init__(self, calls=lambda logits: logits):
        super().__init__()
        torch.manual_seed(0)
        self.words, self.norm, self.head = nn.Embedding(41, 16), nn.BatchNorm1d(16), nn.Linear(16, 2)
        self.calls = calls

    def forward(self, input_ids, attention_mask=None, position_ids=None):
        mask = (input_ids > 0 if attention_mask is None else attention_mask)[:, :, None]
        features = self.norm((self.words(input_ids) * mask).sum(1) / mask.sum(1))
        return self.calls(self.head(features) * torch.where((input_ids == 40).any(), torch.nan, 1.0))


def test_graphs_learn_what_steps_without_them_learn(gpu, recorded):
    """Padding changes nothing, nor does recording; rates that change reach what was recorded; some weights stay."""
    for make in (tiny_bert, WordsOnAverage):
        by_graph, by_step = make(), make()
        for model in (by_graph, by_step):
            next(model.parameters()).requires_grad_(False)
            for module in model.modules():
                if isinstance(module, nn.Dropout):
                    module.p = 0.0  # what is dropped depends on the shape
        a, b = fit(by_graph, Texts(), **FP32), without_graphs(by_step, Texts(), **FP32)
        assert len(recorded) == 2
        recorded.clear()
        torch.testing.assert_close(a.losses, b.losses, rtol=0, atol=1e-4)
        torch.testing.assert_close(weights_of(by_graph), weights_of(by_step), rtol=0, atol=1e-3)


def test_one_graph_a_length_the_longest_first_and_none_for_a_smaller_last_batch(gpu, recorded, capsys):
    fit(tiny_bert(), Texts(100), **FP32)
    assert recorded == [(8, 24), (8, 16)]
    assert "CUDA graphs" not in capsys.readouterr().out


def test_a_text_longer_than_the_longest_graph_goes_without_and_the_others_with(gpu, recorded, monkeypatch, capsys):
    for module in (graphs, batches):
        monkeypatch.setattr(module, "LENGTHS", (8, 16))
    a = fit(WordsOnAverage(), Texts(), **FP32)
    assert set(recorded) == {(8, 8), (8, 16)}
    assert capsys.readouterr().out.count("Without CUDA graphs") == 1
    assert a.losses == without_graphs(WordsOnAverage(), Texts(), **FP32).losses


def my_loss(logits, labels):
    return F.cross_entropy(logits.float(), labels)


class Columns(Texts):
    def __init__(self, change):
        super().__init__()
        for row in self.rows:
            change(row)


def broken(error):
    def capture(function, pool, model):
        function()
        raise error

    return capture


@pytest.mark.parametrize(
    ("loss", "change", "capture", "reason"),
    [
        (my_loss, None, None, "the loss is a function of your own"),
        (None, lambda row: row.update(position_ids=[0] * len(row["input_ids"])), None, "they need input_ids"),
        (None, None, "hook", "the model has hooks"),
        (None, None, broken(RuntimeError("the driver is too old\nfor this")), "the driver is too old."),
        (None, None, broken(torch.OutOfMemoryError("CUDA out of memory")), "the GPU has no room for them."),
    ],
)
def test_what_cannot_be_recorded_is_said_once_and_learns_the_same(
    gpu, monkeypatch, capsys, loss, change, capture, reason
):
    data = Columns(change or (lambda row: None))
    model = WordsOnAverage()
    if capture == "hook":
        model.head.register_forward_hook(lambda *arguments: None)
    elif capture:
        monkeypatch.setattr(graphs, "capture", capture)
    a = fit(model, data, **FP32, loss=loss)
    said = capsys.readouterr().out
    assert said.count("Without CUDA graphs") == said.count("\n") == 1 and f"if the model is small: {reason}" in said
    assert a.losses == without_graphs(WordsOnAverage(), data, **FP32, loss=loss).losses


def test_out_of_memory_while_recording_goes_on_without_graphs_and_in_pieces(gpu, capsys):
    class Small(WordsOnAverage):
        def forward(self, input_ids, attention_mask):
            if len(input_ids) > 4 and self.training:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().forward(input_ids, attention_mask)

    a = fit(Small(), Texts(), **FP32)
    said = capsys.readouterr().out.splitlines()
    assert (
        "no room" in said[0] and "going on in pieces of 4; each step still learns from 8" in said[1] and len(said) == 2
    )
    assert a.losses == without_graphs(Small(), Texts(), **FP32).losses


def test_a_step_that_fails_is_named_later_and_nothing_was_learned_from_it_or_after(gpu, monkeypatch):
    """A fast GPU is asked after 1, 2, 4, 8 and 16 steps or when the epoch ends; the ninth is the one."""
    clock = count()
    monkeypatch.setattr(training, "time", SimpleNamespace(perf_counter=lambda: next(clock) / 1000))

    data = Texts()
    data.lengths = [5] * len(data)
    for row in data.rows:
        row["input_ids"], row["attention_mask"] = (row["input_ids"] * 2)[:5], [1] * 5
    generator = torch.Generator().manual_seed(0)  # as `fit` orders them in the first epoch
    order = torch.randperm(96, generator=generator).tolist()
    ninth = torch.randperm(12, generator=generator).tolist()[8]
    data.rows[order[ninth * 8]]["input_ids"][1] = 40

    model, before, inner = WordsOnAverage(), [], graphs.Steps.__call__

    def noting(self, *arguments):
        before.append(weights_of(model))
        return inner(self, *arguments)

    monkeypatch.setattr(graphs.Steps, "__call__", noting)
    with pytest.raises(FloatingPointError, match="loss is nan at step 9, learning rate"):
        fit(model, data, **FP32)
    assert len(before) == 12
    assert {name for name in changed(model, before[8]) if "running" not in name and "tracked" not in name} == set()
    assert changed(model, before[7]) >= {"words.weight", "head.weight"}


def test_short_texts_are_predicted_many_at_a_time_or_by_halves_where_memory_demands_it(gpu, monkeypatch):
    model, data, sizes = tiny_bert(), Texts(24), []
    forward = model.forward

    def small(input_ids, **others):
        if len(input_ids) > 20:
            raise torch.OutOfMemoryError("CUDA out of memory")
        sizes.append(len(input_ids))
        return forward(input_ids=input_ids, **others)

    alone = predict(model, data, batch_size=1)
    monkeypatch.setattr(model, "forward", small)
    monkeypatch.setattr(inference, "HELD", 200)
    torch.testing.assert_close(predict(model, data), alone, rtol=0, atol=1e-2)
    assert sizes == [12, 12]  # all 24 at once, but for the memory


@pytest.mark.parametrize(
    "use",
    [
        lambda model, data: fit(model, data, **FP32, loss=my_loss),
        evaluate,
        predict,
        lambda model, data: predict(model, data, batch_size=7),
        lambda model, data: predict(model, DataLoader(data, 7, collate_fn=collate_for(model))),
        embed,
    ],
)
def test_whichever_way_is_taken_a_gpu_meets_few_shapes(gpu, monkeypatch, use):
    """Its libraries plan anew for each one, which takes longer than many a step."""
    model, seen = tiny_bert(), set()
    forward = model.forward
    monkeypatch.setattr(
        model, "forward", lambda **inputs: (seen.add(inputs["input_ids"].shape[1]), forward(**inputs))[1]
    )
    use(model, Texts())
    assert seen and seen <= {16, 24}


def tagger():
    torch.manual_seed(0)
    small = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return BertForTokenClassification(BertConfig(**small, **none, intermediate_size=32))


def test_padding_counts_neither_among_the_labels_of_tokens_nor_in_what_comes_back(monkeypatch):
    """On a GPU as on the CPU, where batches are no longer than their longest text."""
    data = Columns(lambda row: row.update(labels=[token % 2 for token in row["input_ids"]]))
    monkeypatch.setenv("COURSE_DEVICE", "cpu")
    by_cpu, by_gpu = tagger(), tagger()
    losses, some = fit(by_cpu, data, **FP32).losses, data.rows[:1]
    logits = predict(by_cpu, some, precision="fp32")
    monkeypatch.delenv("COURSE_DEVICE")
    with nullcontext() if torch.cuda.is_available() else fake_accelerator():
        torch.testing.assert_close(fit(by_gpu, data, **FP32).losses, losses, rtol=0, atol=1e-4)
        torch.testing.assert_close(predict(by_gpu, some, precision="fp32"), logits, rtol=0, atol=1e-3)
    assert logits.shape[1] == len(some[0]["input_ids"])


@pytest.mark.cuda
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_replay_is_the_step_that_was_recorded(recorded, monkeypatch, precision):
    """To the last digit or nearly so, dropout and loss scaling included."""
    options = OPTIONS | {"precision": precision}
    a = fit(tiny_bert(), Texts(), **options)
    monkeypatch.setattr(graphs, "capture", called_instead)
    b = fit(tiny_bert(), Texts(), **options)
    assert len(recorded) == 4
    torch.testing.assert_close(a.losses, b.losses, rtol=0, atol=1e-4 if precision == "fp32" else 1e-2)


@pytest.mark.cuda
@pytest.mark.parametrize(
    ("calls", "reason"),
    [
        (lambda logits: logits if logits.sum().item() < 1e9 else -logits, "asks the GPU for a number, or waits"),
        (lambda logits: torch.cuda.synchronize() or logits, "asks the GPU for a number, or waits"),
        (lambda logits: logits * (1 + 0 * random.random()), "draws random numbers"),
    ],
)
def test_a_model_that_cannot_be_recorded_learns_without_and_the_next_with_graphs(capsys, recorded, calls, reason):
    """And memory that is no longer needed goes back, as before."""
    torch.cuda.empty_cache()
    reserved = torch.cuda.memory_reserved()
    a = fit(WordsOnAverage(calls), Texts(), **FP32)
    said = capsys.readouterr().out
    assert said.count("Without CUDA graphs") == 1 and reason in said and not recorded
    assert a.losses == without_graphs(WordsOnAverage(calls), Texts(), **FP32).losses
    fit(tiny_bert(), Texts(), **FP32)
    assert recorded and not capsys.readouterr().out
    large = torch.empty(2**30, dtype=torch.uint8, device="cuda")
    del large
    torch.cuda.empty_cache()
    assert torch.cuda.memory_reserved() < reserved + 2**29


@pytest.mark.cuda
def test_a_gpu_without_room_goes_on_without_graphs_and_in_pieces_and_gives_its_memory_back(capsys):
    config = BertConfig(vocab_size=40, hidden_size=256, num_hidden_layers=4, num_attention_heads=4)
    data = [{"input_ids": [1] * 384, "attention_mask": [1] * 384, "labels": i % 2} for i in range(128)]
    torch.cuda.empty_cache()
    reserved, total = torch.cuda.memory_reserved(), torch.cuda.mem_get_info()[1]
    torch.cuda.set_per_process_memory_fraction((reserved + 1.5e9) / total)
    try:
        fit(BertForSequenceClassification(config), data, **FP32 | {"batch_size": 64})
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    said = capsys.readouterr().out
    assert "Without CUDA graphs" in said and "the GPU has no room for them" in said and "in pieces of" in said
    torch.cuda.empty_cache()
    assert torch.cuda.memory_reserved() < reserved + 2**28
    fit(tiny_bert(), Texts(), **FP32)
    assert not capsys.readouterr().out
