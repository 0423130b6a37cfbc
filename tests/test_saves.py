"""A checkpoint_dir gives back this run or says why not; what it holds is whole, and nothing of a refused save stays."""

import functools
import random
import re

import numpy as np
import pytest
import torch
from test_training import StopAt, changed, points, same_weights, weights_of
from torch import nn
from torch.utils.data import Dataset, TensorDataset

from course_utils import runtime
from course_utils.fingerprint import fingerprint
from course_utils.options import Recipe
from course_utils.training import fit

OPTIONS = {"epochs": 2, "lr": 5e-2, "batch_size": 8, "precision": "fp32", "progress": False}


def network(seed=0, dropout=0.1, inputs=4):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(inputs, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 2))


def flipped(data, how_many=1):
    x, y = data.tensors
    return TensorDataset(x, torch.cat([1 - y[:how_many], y[how_many:]]))


class Weighted(nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = weight

    def forward(self, logits, labels):
        return nn.functional.cross_entropy(logits, labels) * self.weight


WEIGHT = torch.ones(2)


def scaled(by):
    return lambda logits, labels: by * nn.functional.cross_entropy(logits, labels)


def frozen(model):
    model[0].requires_grad_(False)
    return model


@pytest.mark.parametrize(
    ("what", "other"),
    [
        ("other initial weights", {"model": lambda: network(seed=1)}),
        ("other network structure", {"model": lambda: network(dropout=0.2)}),
        ("other optimizer groups", {"model": lambda: frozen(network())}),
        ("other training data", {"train": flipped(points())}),
        ("other training data", {"train": TensorDataset(torch.randn(64, 4), points().tensors[1])}),
        ("other validation data", {"validation": flipped(points(16))}),
        ("other validation data", {"validation": None}),
        ("other loss function", {"loss": scaled(1)}),
        ("weight_decay=0.01 there, 0.1 here", {"recipe": Recipe(weight_decay=0.1)}),
        ("warmup=0.1 there, 0.0 here", {"recipe": Recipe(warmup=0.0)}),
        ("decay=True there, False here", {"recipe": Recipe(decay=False)}),
        ("max_grad_norm=1.0 there, 2.0 here", {"recipe": Recipe(max_grad_norm=2.0)}),
        ("batch_size=8 there, 4 here", {"batch_size": 4}),
        ("seed=0 there, 1 here", {"seed": 1}),
        ("metric=accuracy there, f1 here", {"metric": "f1"}),
        ("precision=fp32 there, bf16 here", {"precision": "bf16"}),
        ("epochs=2 there, 1 here", {"epochs": 1}),
    ],
)
def test_another_run_is_refused_and_named_and_the_model_stays_as_it_was(tmp_path, what, other):
    fit(network(), points(), points(16), **OPTIONS, checkpoint_dir=tmp_path)
    before_save = (tmp_path / "run.pt").read_bytes()
    options = {"train": points(), "validation": points(16)} | OPTIONS | other
    model = options.pop("model", network)()
    before = weights_of(model)
    with pytest.raises(ValueError, match=f"saved by another run .*{re.escape(what)}") as refused:
        fit(model, **options, checkpoint_dir=tmp_path)
    assert changed(model, before) == set() and "delete" not in str(refused.value)
    assert (tmp_path / "run.pt").read_bytes() == before_save


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (scaled(1), scaled(2)),
        (lambda o, y: (o - y).sum(), lambda o, y: (y - o).sum()),
        (nn.CrossEntropyLoss(label_smoothing=0.1), nn.CrossEntropyLoss(label_smoothing=0.2)),
        (nn.CrossEntropyLoss(weight=torch.ones(2)), nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0]))),
        (Weighted(1), Weighted(2)),
        (Weighted(1).forward, Weighted(2).forward),
        (functools.partial(scaled, 1), functools.partial(scaled, 2)),
        ({"a": [np.float32(1)]}, {"a": [np.float32(2)]}),
        (torch.zeros(2), torch.zeros(1, 2)),
        (torch.zeros(2), torch.zeros(2, dtype=torch.int32)),
        (np.zeros(2), np.zeros((2, 1))),
        ([1, 2], [12]),
        (None, 0),
    ],
)
def test_fingerprints_are_of_values(a, b):
    assert fingerprint(a) == fingerprint(a) != fingerprint(b)


def test_fingerprints_of_equal_values_are_equal():
    assert fingerprint(scaled(2)) == fingerprint(scaled(2))
    assert fingerprint(Weighted(1)) == fingerprint(Weighted(1))
    assert fingerprint({"a": torch.ones(2), "b": {1, 2}}) == fingerprint({"b": {2, 1}, "a": torch.ones(2)})
    assert fingerprint(lambda o: o @ WEIGHT) == fingerprint(lambda o: o @ WEIGHT)


def test_the_same_run_again_trains_nothing_and_says_so(tmp_path, capsys):
    first, second = network(), network()
    history = fit(first, points(), points(16), **OPTIONS, checkpoint_dir=tmp_path)
    assert capsys.readouterr().out == ""
    again = fit(second, points(), points(16), **OPTIONS, checkpoint_dir=tmp_path)
    assert again == history and same_weights(first, second)
    assert f"Nothing trained: {tmp_path / 'run.pt'} holds this run to its end." in capsys.readouterr().out
    again = fit(first, points(), points(16), **OPTIONS, checkpoint_dir=tmp_path)  # the same cell once more
    assert again == history and same_weights(first, second)


class Breaking(TensorDataset):
    def __init__(self, after):
        super().__init__(*points().tensors)
        self.left = after

    def __getitem__(self, index):
        self.left -= 1
        if self.left == 0:
            raise StopAt
        return super().__getitem__(index)


def test_the_same_cell_goes_on_with_the_half_trained_model(tmp_path):
    whole, broken = network(), network()
    options = OPTIONS | {"checkpoint_dir": tmp_path, "save_every": 3}
    fit(whole, points(), **OPTIONS)
    with pytest.raises(StopAt):
        fit(broken, Breaking(64 + 40), **options)
    fit(broken, points(), **options)
    assert same_weights(whole, broken)


def test_more_epochs_go_on_after_the_end(tmp_path):
    model = network()
    fit(model, points(), points(16), **OPTIONS, checkpoint_dir=tmp_path)
    short = weights_of(model)
    history = fit(network(), points(), points(16), **OPTIONS | {"epochs": 4}, checkpoint_dir=tmp_path)
    assert history["epoch"] == [1, 2, 3, 4] and history.settings["epochs"] == 4 and len(history.losses) == 32
    longer = network()
    again = fit(longer, points(), points(16), **OPTIONS | {"epochs": 4}, checkpoint_dir=tmp_path)
    assert again == history and changed(longer, short)


def test_options_given_as_other_libraries_numbers_are_the_same_options(tmp_path):
    options = OPTIONS | {
        "epochs": np.int64(2),
        "lr": np.float32(0.5),
        "batch_size": torch.tensor(8),
        "recipe": Recipe(weight_decay=np.float64(0.01), warmup=torch.tensor(0.125)),
        "patience": np.int32(3),
        "save_every": np.int16(3),
        "checkpoint_dir": tmp_path,
    }
    whole = network()
    history = fit(whole, points(), points(16), **options)
    own = {"lr": 0.5, "recipe": Recipe(warmup=0.125), "patience": 3, "checkpoint_dir": tmp_path}
    assert fit(network(), points(), points(16), **OPTIONS | own) == history
    groups = [{"params": list(whole.parameters()), "lr": np.float64(0.1), "betas": np.array([0.9, 0.99]).tolist()}]
    fit(whole, points(), **OPTIONS, groups=groups, checkpoint_dir=tmp_path / "other")
    fit(whole, points(), **OPTIONS, groups=groups, checkpoint_dir=tmp_path / "other")


def test_other_hardware_is_named_and_goes_on(tmp_path, capsys, monkeypatch):
    fit(network(), points(), **OPTIONS, checkpoint_dir=tmp_path)
    here = re.escape(runtime.name(runtime.device()))
    monkeypatch.setattr(runtime, "name", lambda device: "Abacus 3000")
    fit(network(), points(), **OPTIONS | {"epochs": 3}, checkpoint_dir=tmp_path)
    said = capsys.readouterr().out
    assert re.search(f"from a save made on {here}.*; on Abacus 3000 the last digits will differ", said)


class State(nn.Linear):
    """A network that keeps an object in its state."""

    def get_extra_state(self):
        return runtime.Runtime(torch.device("cpu"), "fp32", "auto", 0)

    def set_extra_state(self, state):
        raise AssertionError("never read")


def test_a_run_that_could_not_be_read_is_not_written(tmp_path):
    with pytest.raises(ValueError, match=r"holds more than tensors and numbers \(course_utils.runtime.Runtime"):
        fit(State(4, 2), points(), **OPTIONS, checkpoint_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


class Payload:
    ran = False

    def __reduce__(self):
        return (setattr, (Payload, "ran", True))


def test_a_save_that_would_run_code_is_refused_and_does_not_run_it(tmp_path):
    torch.save({"identity": {}, "model": Payload()}, tmp_path / "run.pt")
    with pytest.raises(ValueError, match="is no save of fit .*choose another checkpoint_dir"):
        fit(network(), points(), **OPTIONS, checkpoint_dir=tmp_path)
    assert not Payload.ran


def test_a_damaged_save_is_named_and_deleting_it_helps(tmp_path):
    fit(network(), points(), **OPTIONS, checkpoint_dir=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]
    save = tmp_path / "run.pt"
    save.write_bytes(save.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"run\.pt is damaged .* delete it to start this run anew"):
        fit(network(), points(), **OPTIONS, checkpoint_dir=tmp_path)
    save.unlink()
    fit(network(), points(), **OPTIONS, checkpoint_dir=tmp_path)


def flip(save, whole, place):
    damaged = bytearray(whole)
    damaged[place // 8] ^= 1 << place % 8
    save.write_bytes(damaged)


@pytest.mark.parametrize("flips", [12, pytest.param(200, marks=pytest.mark.hard)])
def test_one_flipped_bit_is_named_or_changes_nothing(tmp_path, flips):
    trained = network()
    fit(trained, points(), points(16), **OPTIONS, checkpoint_dir=tmp_path)
    save, draw = tmp_path / "run.pt", random.Random(0)
    whole, seen = save.read_bytes(), 0
    for _ in range(flips):
        flip(save, whole, draw.randrange(8 * len(whole)))
        model = network()
        before = weights_of(model)
        try:
            fit(model, points(), points(16), **OPTIONS, checkpoint_dir=tmp_path)
        except ValueError as error:
            assert re.search("is damaged .*delete it", str(error)) and changed(model, before) == set()
            seen += 1
        else:
            assert same_weights(model, trained)
    assert seen > flips / 3


@pytest.mark.parametrize("at", ["unfinished", "replace"])
def test_a_kill_while_saving_leaves_the_earlier_save(tmp_path, monkeypatch, at):
    fit(network(), points(), **OPTIONS, checkpoint_dir=tmp_path)
    before = (tmp_path / "run.pt").read_bytes()

    class Killed(BaseException):
        pass

    def dies(*args, **options):
        raise Killed

    monkeypatch.setattr("torch.save" if at == "unfinished" else "os.replace", dies)
    with pytest.raises(Killed):
        fit(network(), points(), **OPTIONS | {"epochs": 3}, checkpoint_dir=tmp_path)
    assert (tmp_path / "run.pt").read_bytes() == before


class Augmented(Dataset):
    """Noise from one library's global generator; it may break at one reading."""

    def __init__(self, draw, breaks_at=None):
        self.draw, self.breaks_at, self.read = draw, breaks_at, 0

    def __len__(self):
        return 40

    def __getitem__(self, index):
        self.read += 1
        if self.read == self.breaks_at:
            raise StopAt
        return torch.eye(4)[index % 4] + torch.tensor(self.draw(), dtype=torch.float32), index % 2


DRAWS = {
    "numpy": lambda: np.random.normal(size=4),
    "random": lambda: [random.gauss(0, 1) for _ in range(4)],
    "torch": lambda: torch.randn(4).tolist(),
}


@pytest.mark.parametrize("library", DRAWS)
def test_augmentation_of_any_library_is_drawn_again_after_an_interruption(tmp_path, library):
    whole, broken, resumed = network(), network(), network()
    draw = DRAWS[library]
    saving = OPTIONS | {"checkpoint_dir": tmp_path, "save_every": 2}
    fit(whole, Augmented(draw), **OPTIONS)
    with pytest.raises(StopAt):
        fit(broken, Augmented(draw, 42 + 40 + 30), **saving)
    fit(resumed, Augmented(draw), **saving)
    assert same_weights(whole, resumed)


def test_data_with_a_generator_of_its_own_are_known_by_what_is_not_random(tmp_path):
    def noise():
        own = np.random.default_rng()
        return lambda: own.normal(size=4)

    fit(network(), Augmented(noise()), **OPTIONS, checkpoint_dir=tmp_path)
    fit(network(), Augmented(noise()), **OPTIONS | {"epochs": 3}, checkpoint_dir=tmp_path)
