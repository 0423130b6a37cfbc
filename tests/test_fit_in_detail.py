"""What `fit` and `evaluate` compute, number by number: a mutant of either must fail here."""

import csv

import pytest
import torch
from accelerate.tracking import GeneralTracker
from test_training import Texts, points, tiny_bert, weights_of
from torch import nn
from torch.utils.data import TensorDataset

from course_utils import training
from course_utils.batches import training_loader
from course_utils.inference import Metrics, evaluate, predict
from course_utils.options import Recipe
from course_utils.training import fit

QUIET = {"precision": "fp32", "progress": False}


def scripted(monkeypatch, *judgements):
    """Validation that finds these (accuracy, f1, loss), epoch 0 first; gives the weights that it was asked about."""
    asked, script = [], iter(judgements)

    def validate(model, *arguments):
        asked.append(weights_of(model))
        accuracy, f1, loss = next(script)
        return Metrics(loss, accuracy, f1, [])

    monkeypatch.setattr(training, "_validate", validate)
    return asked


@pytest.mark.parametrize(
    ("metric", "judgements", "best"),
    [
        ("accuracy", [(0.1, 0, 9), (0.5, 0, 9), (0.9, 0, 9), (0.7, 0, 1), (0.8, 0, 1)], 2),
        ("accuracy", [(0.1, 0, 9), (0.5, 0, 2), (0.5, 0, 1), (0.5, 0, 3), (0.4, 0, 0)], 2),  # tied: the lower loss
        ("accuracy", [(0.1, 0, 9), (0.5, 0, 2), (0.5, 0, 2), (0.5, 0, 2), (0.4, 0, 0)], 1),  # wholly tied: the first
        ("accuracy", [(0.9, 0, 1), (0.5, 0, 2), (0.5, 0, 1), (0.6, 0, 3), (0.7, 0, 2)], 0),
        ("f1", [(0.9, 0.1, 1), (0.8, 0.2, 1), (0.7, 0.5, 1), (0.9, 0.4, 1), (0.9, 0.3, 1)], 2),
        ("loss", [(0.9, 0.9, 5), (0.8, 0.2, 4), (0.9, 0.9, 3), (0.1, 0.4, 1), (0.9, 0.9, 2)], 3),
    ],
)
def test_the_best_weights_are_those_of_the_best_epoch(monkeypatch, capsys, metric, judgements, best):
    model = nn.Linear(4, 2)
    asked = scripted(monkeypatch, *judgements)
    history = fit(model, points(), points(), epochs=4, lr=0.1, metric=metric, **QUIET)
    assert history.best_epoch == best and len(asked) == 5
    now = weights_of(model)
    same = [all(torch.equal(now[name], then[name]) for name in now) for then in asked]
    assert same == [epoch == best for epoch in range(5)]
    assert history.start["validation_accuracy"] == judgements[0][0]
    assert ("starting weights" in capsys.readouterr().out) == (best == 0)


def test_weights_that_were_better_than_all_that_follows_stay():
    data = points()
    model = nn.Linear(4, 2)
    fit(model, data, data, epochs=10, lr=0.1, **QUIET)
    good, before = evaluate(model, data, precision="fp32").accuracy, weights_of(model)
    worse = TensorDataset(data.tensors[0], 1 - data.tensors[1])
    assert fit(model, worse, data, epochs=3, lr=0.1, **QUIET).best_epoch == 0
    assert evaluate(model, data, precision="fp32").accuracy == good > 0.9
    assert all(torch.equal(before[name], value) for name, value in weights_of(model).items())


# ------------------------------------------------------------------------------------------- steps


class One(nn.Module):
    """A single weight, which starts at 1."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, 1))

    def forward(self, x):
        return x * self.weight


def way(recipe, slopes, lr=0.01, epochs=1):
    """The weight after steps whose gradients are `slopes`. AdamW goes by the learning rate where these are equal."""
    model, data = One(), TensorDataset(torch.ones(len(slopes), 1), torch.zeros(len(slopes), dtype=torch.long))
    left = iter(slopes * epochs)
    fit(model, data, epochs=epochs, lr=lr, batch_size=1, recipe=recipe, loss=lambda o, y: next(left) * o.sum(), **QUIET)
    return model.weight.item()


@pytest.mark.parametrize(
    ("options", "shares"),
    [
        ({"warmup": 0, "decay": False}, [1] * 10),
        ({"warmup": 0, "decay": True}, [1 - i / 10 for i in range(10)]),
        ({"warmup": 0.4, "decay": False}, [0, 0.25, 0.5, 0.75, *[1] * 6]),
        ({"warmup": 0.4, "decay": True}, [0, 0.25, 0.5, 0.75, *(1 - i / 6 for i in range(6))]),
        ({}, [0, *(1 - i / 9 for i in range(9))]),
    ],
)
def test_the_rate_rises_and_falls_as_the_recipe_says(options, shares):
    recipe = Recipe(weight_decay=0, **options)
    assert way(recipe, [1.0] * 10) == pytest.approx(1 - 0.01 * sum(shares), abs=1e-5)
    assert way(recipe, [1.0] * 5, epochs=2) == pytest.approx(1 - 0.01 * sum(shares), abs=1e-5)


@pytest.mark.parametrize("weight_decay", [0.0, 0.5])
def test_weights_decay_as_the_recipe_says(weight_decay):
    recipe = Recipe(weight_decay=weight_decay, warmup=0, decay=False)
    assert way(recipe, [0.0] * 10) == pytest.approx((1 - 0.01 * weight_decay) ** 10, rel=1e-5)


def test_gradients_are_clipped_to_the_length_that_the_recipe_says():
    steady = Recipe(weight_decay=0, warmup=0, decay=False)
    assert way(steady, [100.0, 1.0, 50.0, 1.0]) == pytest.approx(1 - 4 * 0.01, abs=1e-5)  # all are of length 1 then
    free = Recipe(weight_decay=0, warmup=0, decay=False, max_grad_norm=float("inf"))
    assert abs(way(free, [100.0, 1.0, 50.0, 1.0]) - (1 - 4 * 0.01)) > 1e-3


def test_an_epochs_loss_is_the_mean_over_its_examples():
    labels = torch.tensor([0] * 8 + [5, 9])
    data = TensorDataset(torch.ones(10, 1), labels)
    history = fit(One(), data, epochs=3, batch_size=8, loss=lambda o, y: y.float().mean() + 0 * o.sum(), **QUIET)
    assert history["loss"] == pytest.approx([1.4] * 3, rel=1e-6)
    assert len(history.losses) == 6 and sum(history.losses) > 0


class SmallMemory(nn.Linear):
    def forward(self, x):
        if len(x) > 4 and self.training:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().forward(x)


def test_unequal_pieces_count_by_their_examples(capsys):
    small, large = SmallMemory(4, 2), nn.Linear(4, 2)
    large.load_state_dict(small.state_dict())
    a, b = (fit(model, points(18), epochs=3, lr=0.05, batch_size=9, **QUIET) for model in (small, large))
    assert "in pieces of 4" in capsys.readouterr().out  # 4, 4 and 1
    assert a.losses == pytest.approx(b.losses, rel=1e-4)


def test_texts_of_about_the_same_length_come_together():
    data, model = Texts(400), tiny_bert()
    padded = sum(batch["input_ids"].numel() for batch in training_loader(data, model, 8, 0, 0))
    tokens = sum(len(row["input_ids"]) for row in data)
    assert padded < 1.05 * tokens
    widths = []
    model.bert.register_forward_hook(lambda m, args, kwargs, out: widths.append(args[0].numel()), with_kwargs=True)
    predict(model, data, batch_size=8)
    assert sum(widths) < 1.1 * tokens


def test_pictures_are_laid_out_channel_by_channel_last():
    seen = []
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    model.register_forward_pre_hook(lambda m, inputs: seen.append(inputs[0].stride()))
    fit(model, TensorDataset(torch.randn(8, 3, 8, 8), torch.tensor([0, 1] * 4)), epochs=1, **QUIET)
    assert set(seen) == {(192, 1, 24, 3)}
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)


# ------------------------------------------------------------------------------------------- metrics


class Answers(nn.Module):
    """Its inputs are its logits."""

    def forward(self, x):
        return x


def test_metrics_are_those_of_the_text_book():
    true = [0, 0, 0, 0, 0, 0, 1, 1, 2, -100]
    said = [0, 0, 0, 0, 1, 1, 1, 0, 1, 2]
    logits = torch.nn.functional.one_hot(torch.tensor(said), 3).float()
    metrics = evaluate(Answers(), TensorDataset(logits, torch.tensor(true)), precision="fp32")
    assert metrics.accuracy == pytest.approx(5 / 9)
    assert metrics.confusion == [[4, 2, 0], [1, 1, 0], [0, 1, 0]]  # a row for each true class
    f1 = [2 * 4 / (6 + 5), 2 * 1 / (2 + 4), 0]
    assert metrics.f1 == pytest.approx(sum(f1) / 3)
    counted = torch.tensor(true[:9])
    assert metrics.loss == pytest.approx(nn.functional.cross_entropy(logits[:9], counted).item(), rel=1e-6)


# ------------------------------------------------------------------------------------------- what is left of a run


def test_a_history_keeps_its_settings_and_writes_a_table(tmp_path):
    history = fit(nn.Linear(4, 2), points(), points(), epochs=2, lr=0.01, seed=3, patience=5, **QUIET)
    expected = {"epochs": 2, "batch_size": 16, "seed": 3, "precision": "fp32", "metric": "accuracy", "patience": 5}
    assert history.settings.items() >= (expected | {"lr": [0.01, 0.01], "warmup": 0.1, "weight_decay": 0.01}).items()
    history.to_csv(tmp_path / "run.csv")
    with open(tmp_path / "run.csv", newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert float(second["loss"]) == history["loss"][1] and first["epoch"] == "1" and first["seed"] == "3"
    assert float(second["validation_f1"]) == history["validation_f1"][1]


class Notes(GeneralTracker):
    """A tracker as accelerate takes it."""

    name, requires_logging_directory = "notes", False

    def __init__(self):
        super().__init__()
        self.config, self.logged, self.finished = None, [], False

    tracker = property(lambda self: self)

    def start(self):
        pass

    def store_init_configuration(self, values):
        self.config = values

    def log(self, values, step, **options):
        self.logged.append((step, values))

    def finish(self):
        self.finished = True


def test_a_tracker_of_accelerates_gets_settings_and_records():
    notes = Notes()
    history = fit(nn.Linear(4, 2), points(), points(), epochs=2, log_with=notes, **QUIET)
    assert notes.logged == [(1, history.records[0]), (2, history.records[1])]
    assert notes.config["epochs"] == "2" and notes.finished
