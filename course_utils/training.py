"""The training loop of chapter 7 with what a person would want around it, on `accelerate`."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, skip_first_batches
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils import broadcast_object_list, set_seed
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate
from tqdm.auto import tqdm
from transformers import get_linear_schedule_with_warmup

from course_utils import runtime
from course_utils.transfer import parameter_groups

IGNORED = -100  # the label of a position that does not count, in PyTorch and transformers


@dataclass(frozen=True)
class Metrics:
    """How well a model does on a data set, each example counted once."""

    loss: float  # mean cross-entropy, in nats
    accuracy: float  # share of right predictions
    f1: float  # macro F1: the mean of the classes' F1 scores
    confusion: list[list[int]]  # [true class][predicted class] → examples

    def __str__(self):
        return f"loss {self.loss:.3f}, accuracy {self.accuracy:.3f}, macro F1 {self.f1:.3f}"


@dataclass
class History:
    """One record an epoch: `epoch`, `loss`, `examples_per_second`, and `validation_…` if there was a validation set."""

    records: list[dict] = field(default_factory=list)
    best_epoch: int | None = None  # whose weights the model was left with; None: the last
    losses: list[float] = field(default_factory=list)  # each step's

    def __getitem__(self, name: str) -> list:
        """One column, for example ``history["loss"]``."""
        return [record[name] for record in self.records]

    def plot(self):
        """Draw loss and validation accuracy by epoch."""
        from course_utils.plots import plot_history

        return plot_history(self)


def fit(
    model: nn.Module,
    train: Dataset | DataLoader,
    validation: Dataset | DataLoader | None = None,
    *,
    epochs: int = 3,
    lr: float | list[dict] = 5e-5,
    batch_size: int = 16,
    weight_decay: float = 0.01,
    warmup: float = 0.1,
    max_grad_norm: float = 1.0,
    patience: int | None = None,
    precision: str | None = None,
    loss: Callable[[Any, torch.Tensor], torch.Tensor] | None = None,
    checkpoint_dir: str | os.PathLike | None = None,
    save_every: int | None = None,
    num_workers: int = 0,
    seed: int = 0,
    progress: bool = True,
) -> History:
    """Train a classifier by AdamW with warm-up and linear decay, and leave it with its best weights.

    It is the loop that chapter 7 writes out by hand, plus: the precision this hardware computes natively, batches of
    texts of about the same length, gradient clipping, validation after each epoch, early stopping, resuming, and on a
    GPU that runs out of memory smaller pieces of the same batch. Runs on one process, or on many under ``torchrun`` or
    ``accelerate launch``; `batch_size` is then each process's.

    Args:
        model: returns logits of shape (N, classes), or an object with `.logits`; changed in place.
        train: a map-style Dataset or a DataLoader, of dicts with ``labels`` or of (input, label) pairs.
        validation: the same, for choosing the best epoch; without it the last epoch's weights stay.
        epochs: passes over `train`.
        lr: peak learning rate, or optimizer groups with their own (see `transfer.parameter_groups`).
        batch_size: examples a step; a DataLoader brings its own.
        weight_decay: of weight matrices; optimizer groups bring their own.
        warmup: share of all steps during which the learning rate rises from 0; it falls back to 0 after that.
        max_grad_norm: longer gradients are scaled down to this length.
        patience: stop after this many epochs without a better validation accuracy; None: never.
        precision: "bf16", "fp16" or "fp32"; None: the fastest that the hardware computes natively.
        loss: what to minimise, from the model's outputs and the batch's labels, a mean over the examples; None:
            `cross_entropy` of the logits.
        checkpoint_dir: where to save after each epoch. If it holds a save of this run, training goes on from there and
            ends with the weights that it would have had without the interruption. Several machines must share it.
        save_every: save also after each such number of steps. (In a DataLoader of the caller's, random transforms are
            drawn anew after an interruption in mid-epoch: the weights are then as good, but not the same.)
        num_workers: processes that load data.
        seed: of the order of the examples and of dropout.
        progress: show a bar.

    Returns:
        A `History` with one record an epoch.

    Raises:
        ValueError: an empty data set, a label outside the head, a token id outside the vocabulary, an impossible
            option, a damaged checkpoint_dir.
        FloatingPointError: loss or gradient is NaN or infinite; that step has changed no weight.
    """
    _check_options(epochs, batch_size, precision, warmup, save_every, checkpoint_dir)
    AcceleratorState._reset_state()  # an earlier fit, or a Trainer, may have used another precision
    GradientState._reset_state()
    device = runtime.device()
    precision = precision or runtime.precision(device)
    accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision={"fp32": "no"}.get(precision, precision))
    set_seed(seed)
    model.to(accelerator.device)
    if any(isinstance(module, nn.Conv2d) for module in model.modules()):
        model.to(memory_format=torch.channels_last)  # the layout in which convolutions are fastest
    loader = _training_loader(train, model, batch_size, seed, num_workers)
    data, batches = loader.dataset, loader.batch_sampler
    groups = lr if isinstance(lr, list) else parameter_groups(model, lr, weight_decay=weight_decay)
    optimizer = torch.optim.AdamW(groups, fused=accelerator.device.type in ("cpu", "cuda"))
    identity = {"epochs": epochs, "batch_size": batch_size, "seed": seed, "precision": precision, "warmup": warmup}
    identity |= {"lr": [float(group["lr"]) for group in optimizer.param_groups], "max_grad_norm": max_grad_norm}
    attributes = set(vars(model))
    try:
        wrapped, loader, optimizer = accelerator.prepare(model, loader, optimizer)
        identity["steps_an_epoch"] = len(loader)
        steps = epochs * len(loader)
        scheduler = get_linear_schedule_with_warmup(optimizer, round(warmup * steps), steps)
        run = _Run(model, loss or cross_entropy, optimizer, scheduler, accelerator, History())
        saves = _Saves(checkpoint_dir, run, identity) if checkpoint_dir else None
        silent = not (progress and accelerator.is_main_process)
        with tqdm(total=steps, initial=run.step, desc="training", disable=silent) as bar:
            while run.step < steps and not run.stopped(patience):
                epoch, done = divmod(run.step, len(loader))
                _order_by(data, batches, seed, epoch)
                wrapped.train()
                started, earlier = time.perf_counter(), run.examples
                for batch in skip_first_batches(loader, done) if done else loader:
                    inputs, labels = _unpack(batch)
                    # Each step has a seed of its own, so that a resumed run draws an uninterrupted one's dropout.
                    _seed(hash((seed, run.step, accelerator.process_index)) % 2**63, accelerator.device)
                    run.learn(wrapped, inputs, labels, max_grad_norm)
                    bar.update()
                    bar.set_postfix(epoch=epoch + 1, loss=f"{run.loss_sum / run.examples:.3f}", refresh=False)
                    if save_every and run.step % save_every == 0 and run.step % len(loader):
                        saves.write()
                rate = (run.examples - earlier) * accelerator.num_processes / (time.perf_counter() - started)
                metrics = _validate(model, validation, precision, accelerator) if validation is not None else None
                run.end_epoch(metrics, rate)
                if saves:
                    saves.write()
    finally:
        optimizer.zero_grad()
        # accelerate's own undoing, unwrap_model, would take transformers' decorators off `forward` too
        for name in set(vars(model)) - attributes:
            delattr(model, name)
    if run.best_weights is not None:
        model.load_state_dict(run.best_weights)
    return run.history


def evaluate(
    model: nn.Module, data: Dataset | DataLoader, *, batch_size: int = 64, precision: str | None = None
) -> Metrics:
    """Measure a classifier on a data set: each example once, so a smaller last batch does not count more.

    Args:
        model: as for `fit`; it is put on the best device, and back into the mode that it was in.
        data: as for `fit`.
        batch_size: examples at a time.
        precision: as for `fit`.

    Returns:
        `Metrics`.

    Raises:
        ValueError: an empty data set, a label outside the head, or a token id outside the vocabulary.
    """
    from sklearn.metrics import confusion_matrix, f1_score  # takes over a second to import

    logits, labels = run_through(model, data, batch_size=batch_size, precision=precision)
    loss = cross_entropy(logits, labels).item()
    counted = labels != IGNORED
    predicted, labels = logits.argmax(-1)[counted].numpy(), labels[counted].numpy()
    return Metrics(
        loss,
        accuracy=float((predicted == labels).mean()),
        f1=float(f1_score(labels, predicted, average="macro")),
        confusion=confusion_matrix(labels, predicted, labels=range(logits.shape[-1])).tolist(),
    )


def predict(
    model: nn.Module, data: Dataset | DataLoader, *, batch_size: int = 64, precision: str | None = None
) -> torch.Tensor:
    """A classifier's logits, float32 of shape (N, classes) on the CPU, in the order of the data; as for `evaluate`."""
    return run_through(model, data, batch_size=batch_size, precision=precision)[0]


@torch.no_grad()
def run_through(
    model: nn.Module,
    data: Dataset | DataLoader,
    *,
    batch_size: int = 64,
    precision: str | None = None,
    read: Callable[[Any], torch.Tensor] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """What `read` takes from the model's outputs (None: the logits), as float32 on the CPU, and the labels beside it.

    Both are in the order of the data, although texts of about the same length are run together.
    """
    read = read or _logits
    _check_options(batch_size=batch_size, precision=precision)
    device = runtime.device()
    precision = precision or runtime.precision(device)
    order = None
    if not isinstance(data, DataLoader):
        lengths = _lengths(data)
        order = sorted(range(len(data)), key=lengths.__getitem__) if lengths else range(len(data))
        data = DataLoader(data, batch_size, sampler=order, collate_fn=collate_for(model))
    was_training = model.training
    model.to(device).eval()
    try:
        outputs, labels = [], []
        for batch in data:
            inputs, batch_labels = _unpack(batch, device)
            amp = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
            with torch.autocast(device.type, dtype=amp, enabled=amp is not None):
                outputs.append(read(_forward(model, inputs)).float().cpu())
            labels.append(batch_labels.cpu())
    finally:
        model.train(was_training)
    if not outputs:
        raise ValueError("There is nothing to evaluate: the data set is empty.")
    outputs, labels = torch.cat(outputs), torch.cat(labels)
    if order is None:
        return outputs, labels
    back = torch.tensor(order).argsort()
    return outputs[back], labels[back]


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy in nats over all labels but -100, after checking that each names one of the head's classes.

    Args:
        logits: of shape (…, classes).
        labels: integers of shape (…).

    Raises:
        ValueError: names the labels outside the head. (On a GPU, PyTorch itself would end the whole session instead.)
    """
    classes = logits.shape[-1]
    outside = ((labels < 0) | (labels >= classes)) & (labels != IGNORED)
    if outside.any():
        wrong = sorted(set(labels[outside].tolist()))
        raise ValueError(
            f"The head has {classes} classes, 0 to {classes - 1}, but the data has the label "
            f"{', '.join(map(str, wrong[:5]))}: check the labels, or give the model num_labels={max(*wrong, 0) + 1}."
        )
    return F.cross_entropy(logits.flatten(0, -2).float(), labels.flatten(), ignore_index=IGNORED)


# ------------------------------------------------------------------------------------------- one run of `fit`


@dataclass
class _Run:
    """All that changes during training: what `_Saves` writes, and a resumed run starts from."""

    model: nn.Module
    loss: Callable[[Any, torch.Tensor], torch.Tensor]
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    accelerator: Accelerator
    history: History
    step: int = 0
    loss_sum: float = 0.0  # of this epoch's examples, as is the next
    examples: int = 0
    best: tuple[float, float] | None = None  # accuracy, minus loss: what a better epoch exceeds
    best_weights: dict | None = None
    micro_batch: int | None = None  # set when a batch did not fit into the GPU's memory

    def learn(self, model: nn.Module, inputs, labels: torch.Tensor, max_grad_norm: float) -> None:
        """Take one step of the optimizer on one batch."""
        loss = self._backward(model, inputs, labels)
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), max_grad_norm)
        # fp16 meets infinite gradients by design: its loss scaling skips such a step.
        if not loss.isfinite() or not (norm.isfinite() or self.accelerator.mixed_precision == "fp16"):
            what = f"loss is {loss.item()}" if not loss.isfinite() else f"length of the gradient is {norm.item()}"
            raise FloatingPointError(
                f"The {what} at step {self.step + 1}, learning rate {self.scheduler.get_last_lr()[0]:.2g}. This step "
                "has changed no weight (but the statistics of batch norm, if there is any). Try a smaller lr or "
                "precision='fp32', and look for NaN in the inputs."
            )
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.scheduler.step()
        self.step += 1
        self.history.losses.append(loss.item())
        self.loss_sum += self.history.losses[-1] * len(labels)
        self.examples += len(labels)

    def _backward(self, model: nn.Module, inputs, labels: torch.Tensor) -> torch.Tensor:
        """Compute the gradients of the batch's mean loss, in as many pieces as the GPU's memory demands."""
        while True:
            size = self.micro_batch or len(labels)
            try:
                total = 0.0
                for start in range(0, len(labels), size):
                    piece = slice(start, start + size)
                    with self.accelerator.autocast():
                        logits = _logits(_forward(model, _take(inputs, piece)))
                    share = len(labels[piece]) / len(labels)
                    loss = self.loss(logits, labels[piece]) * share
                    self.accelerator.backward(loss)
                    total = total + loss.detach()
                return total
            except torch.OutOfMemoryError:
                if size == 1 or self.accelerator.num_processes > 1:
                    raise
            # Outside of the except clause, whose traceback would keep the failed step's tensors alive.
            self.micro_batch = size // 2
            self.optimizer.zero_grad()
            print(
                f"Out of memory: going on in pieces of {self.micro_batch}; each step still learns from {len(labels)}."
            )

    def end_epoch(self, metrics: Metrics | None, rate: float) -> None:
        epoch = len(self.history.records) + 1
        if self.accelerator.num_processes > 1:
            share = torch.tensor([self.loss_sum, float(self.examples)], device=self.accelerator.device)
            self.loss_sum, self.examples = self.accelerator.reduce(share, "sum").tolist()
        record = {"epoch": epoch, "loss": self.loss_sum / self.examples, "examples_per_second": rate}
        if metrics:
            record |= {f"validation_{k}": v for k, v in asdict(metrics).items() if k != "confusion"}
            score = (metrics.accuracy, -metrics.loss)
            if self.best is None or score > self.best:
                self.best, self.history.best_epoch = score, record["epoch"]
                self.best_weights = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.history.records.append(record)
        self.loss_sum, self.examples = 0.0, 0

    def stopped(self, patience: int | None) -> bool:
        waited = len(self.history.records) - (self.history.best_epoch or 0)
        return patience is not None and self.best is not None and waited >= patience


class _Saves:
    """Keeps a run in ``checkpoint_dir/run.pt``, which is always whole: a new save replaces it in one step."""

    NUMBERS = ("step", "loss_sum", "examples", "best", "best_weights", "micro_batch")

    def __init__(self, folder: str | os.PathLike, run: _Run, identity: dict):
        self.path = Path(folder) / "run.pt"
        self.run, self.identity = run, identity
        self.parts = {"model": run.model, "optimizer": run.optimizer, "scheduler": run.scheduler}
        if run.accelerator.scaler is not None:
            self.parts["scaler"] = run.accelerator.scaler
        if self.path.exists():
            self._read()

    def write(self) -> None:
        if not self.run.accelerator.is_main_process:
            return
        state = {name: part.state_dict() for name, part in self.parts.items()}
        state |= {name: getattr(self.run, name) for name in self.NUMBERS}
        state |= {"identity": self.identity, "history": asdict(self.run.history)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(".unfinished")
        try:
            with unfinished.open("wb") as file:  # given a path, torch.save would hide why a write failed
                torch.save(state, file)
            os.replace(unfinished, self.path)
        except OSError as error:
            raise OSError(
                f"The run could not be saved in {self.path.parent} ({error.strerror}): free some space or choose "
                "another checkpoint_dir. An earlier save there is still whole."
            ) from error
        finally:
            unfinished.unlink(missing_ok=True)

    def _read(self) -> None:
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            if state["identity"] != self.identity:
                ours, theirs = self.identity, state["identity"]
                differing = [k for k in ours if theirs.get(k) != ours[k]]
                differences = [f"{k}={theirs.get(k)} there, {ours[k]} here" for k in differing]
                raise _OtherRun(
                    f"{self.path} was saved by another run ({'; '.join(differences)}): give this run a "
                    "checkpoint_dir of its own, or delete that one."
                )
            for name, part in self.parts.items():
                part.load_state_dict(state[name])
        except (_OtherRun, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # torch.load meets damage with many kinds of error
            reason = str(error).strip().split("\n")[0]
            raise ValueError(
                f"{self.path} is damaged or belongs to another model ({type(error).__name__}: {reason}): delete it to "
                "start this run anew."
            ) from error
        for name in self.NUMBERS:
            setattr(self.run, name, state[name])
        self.run.history = History(**state["history"])


class _OtherRun(ValueError):
    pass


def _seed(seed: int, device: torch.device) -> None:
    """`torch.manual_seed` for the CPU and one device; for all of them it takes a millisecond, on a step of two."""
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


def _validate(model: nn.Module, data, precision: str, accelerator: Accelerator) -> Metrics:
    """The metrics that process 0 finds, for all of them, so that all agree on the best epoch."""
    metrics = [evaluate(model, data, precision=precision) if accelerator.is_main_process else None]
    return broadcast_object_list(metrics)[0]


def _check_options(epochs=1, batch_size=1, precision=None, warmup=0.0, save_every=None, checkpoint_dir=None) -> None:
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}={value} must be a whole number of at least 1, for example {name}=16.")
    if not 0 <= warmup < 1:
        raise ValueError(f"warmup={warmup} must be a share of all steps, 0 ≤ warmup < 1; 0.1 is usual.")
    if precision not in (None, "bf16", "fp16", "fp32"):
        raise ValueError(f"precision={precision!r} must be 'bf16', 'fp16', 'fp32' or None for the hardware's own.")
    if save_every is not None and (checkpoint_dir is None or save_every < 1):
        raise ValueError(
            f"save_every={save_every} needs a checkpoint_dir to save in, and at least 1 step between saves."
        )


# ------------------------------------------------------------------------------------------------- batches


class _Batches(Sampler):
    """Batches of a Dataset in an order that seed and epoch alone decide, texts of about the same length together.

    Padding is wasted work. Sorted within pools of 50 batches, chosen at random, texts need hardly any; which batch
    comes when stays random. A smaller batch comes last: anywhere else, accelerate would drop batches beside it when it
    deals them out to several processes.
    """

    def __init__(self, size: int, batch_size: int, seed: int, lengths: list[int] | None):
        self.size, self.batch_size, self.seed, self.lengths = size, batch_size, seed, lengths
        self.drop_last = False
        self.epoch = 0

    def __len__(self):
        return -(-self.size // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        order = torch.randperm(self.size, generator=generator).tolist()
        if self.lengths:
            pool = 50 * self.batch_size
            pools = (order[i : i + pool] for i in range(0, self.size, pool))
            order = [i for pool in pools for i in sorted(pool, key=self.lengths.__getitem__)]
        batches = [order[i : i + self.batch_size] for i in range(0, self.size, self.batch_size)]
        full = self.size // self.batch_size
        for i in [*torch.randperm(full, generator=generator).tolist(), *range(full, len(batches))]:
            yield batches[i]


class _SeededExamples(Dataset):
    """Examples whose random transforms draw the same whichever process loads them, before or after an interruption."""

    def __init__(self, data: Dataset, seed: int):
        self.data, self.seed, self.epoch = data, seed, 0

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index: int):
        # not torch.manual_seed, which seeds every device: that takes longer than many a transform
        torch.default_generator.manual_seed(hash((self.seed, self.epoch, index)) % 2**63)
        return self.data[index]


def _order_by(data, batches, seed: int, epoch: int) -> None:
    """Make an epoch's batches depend on seed and epoch alone: their order in a DataLoader of the caller's too."""
    if isinstance(data, _SeededExamples):
        data.epoch = batches.epoch = epoch
    torch.manual_seed(seed + epoch)
    if (generator := getattr(getattr(batches, "sampler", None), "generator", None)) is not None:
        generator.manual_seed(seed + epoch)


def _training_loader(
    data: Dataset | DataLoader, model: nn.Module, batch_size: int, seed: int, num_workers: int
) -> DataLoader:
    if not len(data):
        raise ValueError("There is nothing to train on: the data set is empty.")
    if isinstance(data, DataLoader):
        return data
    batches = _Batches(len(data), batch_size, seed, _lengths(data))
    pin = runtime.device().type == "cuda"
    data = _SeededExamples(data, seed)
    return DataLoader(
        data, batch_sampler=batches, collate_fn=collate_for(model), num_workers=num_workers, pin_memory=pin
    )


def _lengths(data: Dataset) -> list[int] | None:
    """The texts' lengths in tokens; None where the data are not texts."""
    if hasattr(data, "lengths"):
        return data.lengths
    if len(data) and isinstance(data[0], Mapping) and "input_ids" in data[0]:
        return [len(data[i]["input_ids"]) for i in range(len(data))]
    return None


def collate_for(model: nn.Module):
    """What makes batches for a model: stacks examples; dicts of lists of unequal length are padded to the longest.

    It raises ValueError for token ids that the model does not have, and for texts that are longer than it reads.
    """
    config = getattr(model, "config", None)
    padding = {"input_ids": getattr(config, "pad_token_id", None) or 0, "labels": IGNORED}

    def collate(examples):
        if not isinstance(examples[0], Mapping):
            if not isinstance(examples[0][0], torch.Tensor):
                raise TypeError(
                    f"The data gives {type(examples[0][0]).__name__} objects where the model needs tensors: for "
                    "pictures, .with_transform(weights.transforms()) makes them."
                )
            return default_collate(examples)
        columns = {name: [torch.as_tensor(example[name]) for example in examples] for name in examples[0]}
        batch = {
            name: pad_sequence(values, batch_first=True, padding_value=padding.get(name, 0))
            if values[0].ndim
            else torch.stack(values)
            for name, values in columns.items()
        }
        if config is not None and "input_ids" in batch:
            _check_ids(batch["input_ids"], config)
        return batch

    return collate


def _check_ids(input_ids: torch.Tensor, config) -> None:
    """A GPU would meet either fault with an assertion that ends the whole session."""
    if input_ids.numel() and (largest := input_ids.max().item()) >= (size := config.vocab_size):
        raise ValueError(
            f"The data has the token id {largest}, but the model's vocabulary has {size:,} entries, 0 to {size - 1}: "
            "make the ids with the tokenizer of the same checkpoint."
        )
    if input_ids.shape[1] > (longest := getattr(config, "max_position_embeddings", None) or input_ids.shape[1]):
        raise ValueError(
            f"A text has {input_ids.shape[1]:,} tokens, and the model reads {longest} at most: tokenize with "
            f"truncation=True, max_length={longest}."
        )


def _unpack(batch, device: torch.device | None = None):
    """(inputs, labels) of a batch: inputs is a dict of keyword arguments or the one positional argument."""
    if isinstance(batch, Mapping):
        inputs = {name: value.to(device) for name, value in batch.items() if name != "labels"}
        labels = batch["labels"].to(device)
    else:
        inputs, labels = (part.to(device) for part in batch)
        if inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
    return inputs, labels


def _take(inputs, piece: slice):
    return {k: v[piece] for k, v in inputs.items()} if isinstance(inputs, Mapping) else inputs[piece]


def _forward(model: nn.Module, inputs):
    return model(**inputs) if isinstance(inputs, Mapping) else model(inputs)


def _logits(outputs) -> torch.Tensor:
    return getattr(outputs, "logits", outputs)
