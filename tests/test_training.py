"""`fit` learns, repeats itself to the last digit, survives interruption, and says what is wrong with its input."""

import os
import pickle
import re
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from transformers import BertConfig, BertForSequenceClassification

from course_utils import runtime
from course_utils.batches import training_loader
from course_utils.inference import cross_entropy, evaluate, predict
from course_utils.options import Recipe
from course_utils.training import fit


class Texts(torch.utils.data.Dataset):
    """Token lists of unequal length: label 1 where token 7 occurs."""

    def __init__(self, size=96, seed=0):
        generator = torch.Generator().manual_seed(seed)
        self.rows = []
        for i in range(size):
            ids = torch.randint(
                8, 40, (int(torch.randint(3, 20, (), generator=generator)),), generator=generator
            ).tolist()
            label = i % 2
            self.rows.append({"input_ids": [1, *([7] * label), *ids], "labels": label})
        for row in self.rows:
            row["attention_mask"] = [1] * len(row["input_ids"])

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index]


def tiny_bert(dropout=0.1):
    torch.manual_seed(0)
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=40,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            hidden_dropout_prob=dropout,
        )
    )


def points(size=64):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(size, 4, generator=generator)
    return TensorDataset(x, (x.sum(1) > 0).long())


def weights_of(model):
    """A copy of them on the CPU, wherever the model is and goes: `fit` and `evaluate` take it to the best device."""
    return {name: value.detach().to("cpu", copy=True) for name, value in model.state_dict().items()}


def changed(model, before):
    """The names of the weights and statistics that are not as they were."""
    return {name for name, value in weights_of(model).items() if not torch.equal(value, before[name])}


def same_weights(a, b):
    return changed(a, weights_of(b)) == set()


PATHS = [os.path.dirname(__file__), os.path.dirname(os.path.dirname(__file__))]  # for processes of their own
OPTIONS = {"epochs": 3, "lr": 5e-3, "batch_size": 8, "progress": False}


def test_it_learns_texts_and_keeps_the_best_epoch():
    model, train, validation = tiny_bert(), Texts(), Texts(40, seed=1)
    history = fit(model, train, validation, **OPTIONS | {"epochs": 8})
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    best = history.records[history.best_epoch - 1]
    assert best["validation_accuracy"] == max(history["validation_accuracy"]) > 0.8
    assert evaluate(model, validation).accuracy == best["validation_accuracy"]


def test_it_takes_input_label_pairs_and_dataloaders():
    model = nn.Linear(4, 2)
    fit(model, points(), **OPTIONS | {"lr": 0.1})
    assert evaluate(model, points()).accuracy > 0.9
    fit(model, DataLoader(points(), 16, shuffle=True), DataLoader(points(), 16), **OPTIONS)
    assert evaluate(model, DataLoader(points(), 16)).accuracy > 0.9


def test_the_same_seed_gives_the_same_losses_to_the_last_digit_and_another_seed_others():
    a, b, c = (fit(tiny_bert(), Texts(), **OPTIONS, seed=seed)["loss"] for seed in (0, 0, 1))
    assert a == b != c


def test_predictions_come_in_the_order_of_the_data_and_every_example_counts_once():
    model, data = tiny_bert(dropout=0), Texts(30)
    logits = predict(model, data, batch_size=7)
    alone = torch.cat([predict(model, torch.utils.data.Subset(data, [i])) for i in range(len(data))])
    torch.testing.assert_close(logits, alone)
    metrics = evaluate(model, data, batch_size=7)
    labels = torch.tensor([row["labels"] for row in data.rows])
    assert metrics.accuracy == (alone.argmax(1) == labels).float().mean().item()
    assert metrics.loss == pytest.approx(nn.functional.cross_entropy(alone, labels).item(), abs=1e-5)
    assert sum(map(sum, metrics.confusion)) == 30


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_model_comes_back_as_it_went_in(precision):
    model = tiny_bert()
    attributes = set(vars(model))
    fit(model, Texts(32), **OPTIONS | {"epochs": 1}, precision=precision)
    assert set(vars(model)) == attributes and model.forward.__func__ is BertForSequenceClassification.forward
    assert type(model) is BertForSequenceClassification
    assert all(p.grad is None for p in model.parameters())
    assert not any(module.training for module in model.modules())  # as a photo of one's own is asked of it
    evaluate(model.train(), Texts(8))
    assert model.training


def test_patience_stops_early():
    model = nn.Linear(4, 2)
    fit(model, points(), **OPTIONS | {"epochs": 30, "lr": 0.1})
    history = fit(model, points(), points(), **OPTIONS | {"epochs": 50, "lr": 1e-12}, patience=2)
    assert len(history.records) == 2 and history.best_epoch == 0


class StopAt(Exception):
    pass


class Interrupting(Texts):
    """Raises once when the given number of examples has been read."""

    def __init__(self, after):
        super().__init__()
        self.left = after

    def __getitem__(self, index):
        self.left -= 1
        if self.left == 0:
            raise StopAt
        return super().__getitem__(index)


@pytest.mark.parametrize("use", [lambda *args: fit(*args, **OPTIONS), evaluate])
def test_token_ids_and_lengths_that_the_model_does_not_have_are_named(use):
    model = tiny_bert()
    before = weights_of(model)
    row = {"input_ids": [1, 2, model.config.vocab_size], "attention_mask": [1] * 3, "labels": 0}
    size = model.config.vocab_size
    with pytest.raises(ValueError, match=f"token id {size}, but the model's vocabulary has {size} entries.*tokenizer"):
        use(model, [row])
    longest = model.config.max_position_embeddings
    row = {"input_ids": [1] * (longest + 1), "attention_mask": [1] * (longest + 1), "labels": 0}
    with pytest.raises(ValueError, match=f"{longest + 1} tokens, and the model reads {longest}.*max_length={longest}"):
        use(model, [row])
    assert changed(model, before) == set()


@pytest.mark.parametrize("save_every", [None, 5])
@pytest.mark.parametrize("after", [96 + 150, 96 + 260])  # in the middle of the second and of the third epoch
def test_interrupted_and_resumed_gives_the_weights_of_an_uninterrupted_run(tmp_path, save_every, after):
    whole, broken, resumed = tiny_bert(), tiny_bert(), tiny_bert()
    history = fit(whole, Texts(), Texts(20, seed=1), **OPTIONS)
    saving = OPTIONS | {"checkpoint_dir": tmp_path, "save_every": save_every}
    with pytest.raises(StopAt):
        fit(broken, Interrupting(after), Texts(20, seed=1), **saving)
    again = fit(resumed, Texts(), Texts(20, seed=1), **saving)
    assert same_weights(whole, resumed)
    assert again["loss"] == history["loss"] and again.best_epoch == history.best_epoch
    assert again.losses == history.losses and len(history.losses) == 3 * 12


def test_a_dataloader_that_shuffles_resumes_too(tmp_path):
    whole, broken, resumed = tiny_bert(), tiny_bert(), tiny_bert()

    def loader(data):
        from course_utils.batches import collate_for

        return DataLoader(data, 8, shuffle=True, collate_fn=collate_for(whole))

    fit(whole, loader(Texts()), **OPTIONS)
    with pytest.raises(StopAt):
        fit(broken, loader(Interrupting(150)), **OPTIONS, checkpoint_dir=tmp_path, save_every=5)
    fit(resumed, loader(Texts()), **OPTIONS, checkpoint_dir=tmp_path, save_every=5)
    assert same_weights(whole, resumed)


class Noisy(torch.utils.data.Dataset):
    """Random transforms: each reading adds new noise. It may break at one reading."""

    def __init__(self, breaks_at=None):
        self.breaks_at, self.read = breaks_at, 0

    def __len__(self):
        return 40

    def __getitem__(self, index):
        self.read += 1
        if self.read == self.breaks_at:
            raise StopAt
        clean = torch.zeros(4).index_fill(0, torch.tensor([index % 2]), 1.0)
        return clean + torch.randn(4), index % 2


def test_random_transforms_are_drawn_again_as_they_were_after_an_interruption(tmp_path):
    def linear():
        torch.manual_seed(0)
        return nn.Linear(4, 2)

    options = {"epochs": 3, "batch_size": 8, "lr": 1e-2, "progress": False}
    whole, broken, resumed, other = linear(), linear(), linear(), linear()
    fit(whole, Noisy(), **options)
    with pytest.raises(StopAt):
        fit(broken, Noisy(40 + 30), **options, checkpoint_dir=tmp_path, save_every=2)
    fit(resumed, Noisy(), **options, checkpoint_dir=tmp_path, save_every=2)
    assert same_weights(whole, resumed)
    fit(other, Noisy(), **options, num_workers=2)
    assert same_weights(whole, other)  # whichever process loads them


def test_what_loads_data_can_be_sent_to_worker_processes():
    """On Windows, on macOS and from Python 3.14 on, they share nothing with the process that starts them."""
    loader = training_loader(Texts(8), tiny_bert(), batch_size=4, seed=0, num_workers=2)
    data, collate = pickle.loads(pickle.dumps((loader.dataset, loader.collate_fn)))
    assert collate([data[0], data[1]])["input_ids"].shape[0] == 2


def test_a_killed_process_resumes_to_the_same_weights(tmp_path):
    """In the middle of an epoch, without a word, as when a notebook server takes the machine away."""
    script = tmp_path / "train.py"
    script.write_text(
        "import os, sys, torch\n"
        f"sys.path[:0] = {PATHS}\n"
        "from test_training import OPTIONS, Texts, fit, tiny_bert\n"
        "class Killing(Texts):\n"
        "    left = int(sys.argv[2])\n"
        "    def __getitem__(self, index):\n"
        "        Killing.left -= 1\n"
        "        if Killing.left == 0:\n"
        "            os._exit(9)\n"
        "        return super().__getitem__(index)\n"
        "model = tiny_bert()\n"
        "fit(model, Killing(), **OPTIONS, precision='fp32', checkpoint_dir=sys.argv[1], save_every=5)\n"
        "torch.save(model.state_dict(), sys.argv[3])\n"
    )

    def train(folder, examples):
        arguments = [sys.executable, script, tmp_path / folder, str(examples), tmp_path / f"{folder}.pt"]
        return subprocess.run(arguments, check=False, capture_output=True, text=True)

    killed = train("killed", 96 + 250)
    assert killed.returncode == 9, killed.stderr
    resumed = train("killed", 10**9)
    assert resumed.returncode == 0, resumed.stderr
    whole = tiny_bert()
    fit(whole, Texts(), **OPTIONS, precision="fp32")
    assert changed(whole, torch.load(tmp_path / "killed.pt", weights_only=True, map_location="cpu")) == set()


def test_two_processes_train_one_model(tmp_path):
    """The same code under torchrun: both processes end with the same weights, and the loss falls."""
    script = tmp_path / "train.py"
    script.write_text(
        "import os, sys, torch\n"
        f"sys.path[:0] = {PATHS}\n"
        "from accelerate import PartialState\n"
        "from course_utils import runtime\n"
        "from test_training import OPTIONS, Texts, fit, tiny_bert\n"
        "if torch.accelerator.device_count() < 2:  # NCCL wants a GPU for each process, gloo shares the CPU\n"
        "    runtime.device = lambda: torch.device('cpu')\n"
        "model = tiny_bert()\n"
        "history = fit(model, Texts(92), Texts(20, seed=1), **OPTIONS | {'epochs': 8})\n"
        "assert PartialState().num_processes == 2\n"
        "state = {'losses': history['loss'], **model.state_dict()}\n"
        "torch.save(state, f'{sys.argv[1]}/{os.environ[\"RANK\"]}.pt')\n"
        "torch.distributed.destroy_process_group()\n"
    )
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", script, tmp_path]
    done = subprocess.run(launch, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True, map_location="cpu") for rank in (0, 1))
    losses = first.pop("losses")
    assert losses == second.pop("losses") and losses[-1] < 0.8 * losses[0]
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.hard
def test_two_processes_resume_in_mid_epoch_and_may_leave_weights_unused(tmp_path):
    """An interrupted run ends with the weights of an uninterrupted one, on both processes."""
    script = tmp_path / "train.py"
    script.write_text(
        "import sys, torch\n"
        f"sys.path[:0] = {PATHS}\n"
        "from torch import nn\n"
        "from course_utils import runtime\n"
        "from test_training import Noisy, StopAt, fit, same_weights\n"
        "runtime.device = lambda: torch.device('cpu')\n"
        "def network():\n"
        "    torch.manual_seed(0)\n"
        "    model = nn.Linear(4, 2)\n"
        "    model.unused = nn.Linear(4, 2)\n"
        "    return model\n"
        "options = dict(epochs=3, lr=1e-2, batch_size=4, precision='fp32', progress=False)\n"
        "saving = options | dict(checkpoint_dir=sys.argv[1], save_every=2)\n"
        "whole, broken = network(), network()\n"
        "fit(whole, Noisy(), **options)\n"
        "try:\n"
        "    fit(broken, Noisy(42 + 20 + 15), **saving)  # the fingerprint's readings come first\n"
        "except StopAt:\n"
        "    broken = network()  # as a process started anew would: the traceback holds on to the other one\n"
        "fit(broken, Noisy(), **saving)\n"
        "assert same_weights(whole, broken)\n"
        "fit(network(), Noisy(), Noisy(), **options)\n"
        "print('as one')\n"
        "torch.distributed.destroy_process_group()\n"
    )
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", script, tmp_path]
    done = subprocess.run(launch, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and done.stdout.count("as one") == 2, done.stderr


class SmallMemory(nn.Linear):
    """A layer that runs out of memory beyond four examples, as a GPU would."""

    def forward(self, x):
        if len(x) > 4 and self.training:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().forward(x)


def test_out_of_memory_is_met_by_smaller_pieces_of_the_same_batch(capsys):
    small, large = SmallMemory(4, 2), nn.Linear(4, 2)
    large.load_state_dict(small.state_dict())
    for model in (small, large):
        fit(model, points(), **OPTIONS | {"batch_size": 16}, precision="fp32")
    assert "going on in pieces of 4; each step still learns from 16" in capsys.readouterr().out
    torch.testing.assert_close(small.weight, large.weight)


def test_a_learning_rate_for_each_group_is_kept():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    before = weights_of(model)
    fit(
        model,
        points(),
        **OPTIONS
        | {"groups": [{"params": model[0].parameters(), "lr": 0.0}, {"params": model[1].parameters(), "lr": 0.1}]},
    )
    assert changed(model, before) == {"1.weight", "1.bias"}


def test_lower_precision_learns_the_same_thing():
    """bf16 by autocast: the weights stay float32, the losses stay close. Slow but correct where it is emulated."""
    full, half = tiny_bert(dropout=0), tiny_bert(dropout=0)
    a = fit(full, Texts(), **OPTIONS, precision="fp32")
    b = fit(half, Texts(), **OPTIONS, precision="bf16")
    assert {p.dtype for p in half.parameters()} == {torch.float32}
    assert a["loss"] != b["loss"] and b["loss"][-1] == pytest.approx(a["loss"][-1], abs=0.1)


# ------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("bad", [-1, 2, 9])
def test_labels_outside_the_head_are_named(bad):
    data = Texts(16)
    data.rows[3]["labels"] = bad
    model = tiny_bert()
    before = weights_of(model)
    with pytest.raises(ValueError, match=f"The head has 2 classes, 0 to 1, but the data has the label {bad}"):
        fit(model, data, **OPTIONS | {"batch_size": 16})
    assert changed(model, before) == set()
    with pytest.raises(ValueError, match=f"has the label {bad}"):
        evaluate(model, data)


def test_ignored_labels_do_not_count():
    logits, labels = torch.randn(2, 3, 5), torch.tensor([[1, -100, 2], [-100, -100, 4]])
    expected = nn.functional.cross_entropy(logits[labels != -100], labels[labels != -100])
    torch.testing.assert_close(cross_entropy(logits, labels), expected)


@pytest.mark.parametrize("call", [fit, evaluate, predict])
def test_an_empty_data_set_is_named(call):
    with pytest.raises(ValueError, match="There is nothing to (train on|evaluate): the data set is empty"):
        call(tiny_bert(), Texts(0))


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("batch_size", 0, "batch_size=0 must be a whole number of at least 1"),
        ("batch_size", 1.5, "batch_size=1.5 must be"),
        ("epochs", 0, "epochs=0 must be"),
        ("recipe", Recipe(warmup=100), "warmup=100 must be a share"),
        ("lr", -1e-3, "lr=-0.001 must be a number of at least 0"),
        ("lr", [{"params": [], "lr": 1}], "optimizer groups go into groups="),
        ("precision", "float16", "precision='float16' must be 'bf16', 'fp16', 'fp32'"),
        ("save_every", 10, "save_every=10 needs a checkpoint_dir"),
        ("save_every", 1.5, "save_every=1.5 must be a whole number"),
        ("lr", float("nan"), "lr=nan must be"),
        ("lr", float("inf"), "lr=inf must be"),
        ("lr", "1e-3", "lr=1e-3 must be a number"),
        ("groups", [{"params": [nn.Parameter(torch.zeros(2))], "lr": float("nan")}], "lr=nan must be"),
        ("patience", 0, "patience=0 must be a whole number of at least 1"),
        ("patience", -1, "patience=-1 must be"),
        ("num_workers", -1, "num_workers=-1 must be"),
        ("seed", 0.5, "seed=0.5 must be"),
        ("metric", "auc", "metric='auc' must be one of 'accuracy', 'f1', 'loss'"),
        ("log_with", "no_such_tracker", "no_such_tracker"),
        ("recipe", Recipe(max_grad_norm=0), "max_grad_norm=0 must be more than 0"),
        ("recipe", Recipe(max_grad_norm=float("nan")), "max_grad_norm=nan must be"),
        ("recipe", Recipe(weight_decay=-1), "weight_decay=-1 must be"),
    ],
)
def test_impossible_options_are_named(option, value, message):
    with pytest.raises(ValueError, match=message):
        fit(tiny_bert(), Texts(8), **OPTIONS | {option: value})
    if option == "batch_size":
        with pytest.raises(ValueError, match=message):
            evaluate(tiny_bert(), Texts(8), batch_size=value)


def test_nan_is_named_and_the_weights_stay_whole():
    model, data = nn.Linear(4, 2), points()
    data.tensors[0][5] = float("nan")
    with pytest.raises(FloatingPointError, match="loss is nan at step .* learning rate .* Try a smaller lr"):
        fit(model, data, **OPTIONS)
    assert all(p.isfinite().all() for p in model.parameters())


def test_a_gradient_that_overflows_is_named_and_the_weights_stay_whole():
    class Steep(nn.Linear):
        def forward(self, x):
            return super().forward(x) * 1e38

    model = Steep(4, 2)
    with pytest.raises(FloatingPointError, match="(loss|length of the gradient) is inf"):
        fit(model, points(), **OPTIONS, precision="fp32")
    assert all(p.isfinite().all() for p in model.parameters())


def test_a_save_of_another_run_or_model_is_not_mixed_in(tmp_path):
    options = OPTIONS | {"precision": "fp32"}
    fit(tiny_bert(), Texts(16), **options, checkpoint_dir=tmp_path)
    here = re.escape(runtime.name(runtime.device()))
    with pytest.raises(ValueError, match=rf"another run \(epochs=3 there, 2 here\) on {here}.*_dir of its own"):
        fit(tiny_bert(), Texts(16), **options | {"epochs": 2}, checkpoint_dir=tmp_path)
    with pytest.raises(ValueError, match=r"another run \(lr=\[0.005, 0.005\] there, \[0.1, 0.1\] here\)"):
        fit(tiny_bert(), Texts(16), **options | {"lr": 0.1}, checkpoint_dir=tmp_path)
    model = nn.Linear(4, 2)
    attributes = set(vars(model))
    with pytest.raises(
        ValueError, match="precision=fp32 there, bf16 here.*other network structure.*other initial weights"
    ):
        fit(model, points(16), **options | {"precision": "bf16"}, checkpoint_dir=tmp_path)
    assert set(vars(model)) == attributes


@pytest.mark.linux
def test_a_full_disk_leaves_the_last_save(tmp_path):
    fit(tiny_bert(), Texts(16), **OPTIONS | {"epochs": 1}, checkpoint_dir=tmp_path)
    before = (tmp_path / "run.pt").read_bytes()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "run.unfinished").symlink_to("/dev/full")
    with pytest.raises(
        OSError, match="could not be saved .*No space left on device.*earlier save there is still whole"
    ):
        fit(tiny_bert(), Texts(16), **OPTIONS, checkpoint_dir=tmp_path / "other")
    assert list((tmp_path / "other").iterdir()) == []
    assert (tmp_path / "run.pt").read_bytes() == before
