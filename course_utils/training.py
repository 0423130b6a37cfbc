"""`fit`, the training loop of chapter 7 with what a person would want around it, on `accelerate`."""

import math
import os
import time
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from accelerate import Accelerator, PartialState, skip_first_batches
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils import DataLoaderConfiguration, DistributedDataParallelKwargs, broadcast_object_list, set_seed
from torch import nn
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm
from transformers import get_scheduler

from course_utils import graphs, runtime
from course_utils.batches import order_by, training_loader, unpack
from course_utils.examples import check_classes, classes_of, trained_on
from course_utils.fingerprint import fingerprints
from course_utils.history import History
from course_utils.inference import Metrics, check_labels, cross_entropy, evaluate
from course_utils.options import Recipe, check_options, plain
from course_utils.saves import Saves, origin
from course_utils.steps import Step
from course_utils.transfer import name_classes, parameter_groups


def fit(
    model: nn.Module,
    train: Dataset | DataLoader,
    validation: Dataset | DataLoader | None = None,
    *,
    epochs: int = 3,
    lr: float = 5e-5,
    groups: list[dict] | None = None,
    batch_size: int = 16,
    recipe: Recipe | None = None,
    loss: Callable[[Any, torch.Tensor], torch.Tensor] | None = None,
    metric: str = "accuracy",
    patience: int | None = None,
    precision: str | None = None,
    checkpoint_dir: str | os.PathLike | None = None,
    save_every: int | None = None,
    num_workers: int | None = None,
    seed: int = 0,
    log_with=None,
    progress: bool = True,
) -> History:
    """Train a classifier by AdamW with warm-up and linear decay; leave it with its best weights, in evaluation mode.

    It is the loop that chapter 7 writes out by hand, plus: the precision this hardware computes natively, batches of
    texts of about the same length, gradient clipping, validation after each epoch, early stopping, resuming, and on a
    GPU that runs out of memory smaller pieces of the same batch; on an NVIDIA GPU steps that it takes without waiting
    for Python (see `graphs`). Runs on one process, or on many under ``torchrun`` or
    ``accelerate launch``; `batch_size` is then each process's.

    Args:
        model: returns logits of shape (N, classes), or an object with `.logits`; changed in place.
        train: a map-style Dataset or a DataLoader, of dicts with ``labels`` or of (input, label) pairs.
        validation: the same, for choosing the best epoch, the starting weights being epoch 0; without it the last
            epoch's weights stay.
        epochs: passes over `train`.
        lr: peak learning rate.
        groups: optimizer groups with learning rates of their own, from `parameter_groups`, instead of `lr`.
        batch_size: examples a step; a DataLoader brings its own.
        recipe: weight decay, warm-up and clipping; None: the usual ones.
        loss: what to minimise, from the model's outputs and the batch's labels, a mean over the examples; None:
            `cross_entropy` of the logits.
        metric: of validation, which decides what is best: "accuracy", "f1" for classes of uneven size, or "loss".
        patience: stop after this many epochs without a better validation metric; None: never.
        precision: "bf16", "fp16" or "fp32"; None: the fastest that the hardware computes natively.
        checkpoint_dir: where to save after each epoch. If it holds a save of this run, training goes on from there and
            ends with the weights that it would have had without the interruption; the run is known by its initial
            weights, data and options. A finished run goes on if `epochs` is larger. Several machines must share it.
        save_every: save also after each such number of steps. (In a DataLoader of the caller's, random transforms are
            drawn anew after an interruption in mid-epoch: the weights are then as good, but not the same.)
        num_workers: processes that load data; None: as many as keep a GPU from waiting, where that pays.
        seed: of the order of the examples and of dropout.
        log_with: what else keeps each epoch's record, as accelerate takes it: "tensorboard", "wandb" or a tracker.
        progress: show a bar.

    Returns:
        A `History` with one record an epoch.

    Raises:
        ValueError: an empty data set, a label outside the head, a token id outside the vocabulary, an impossible
            option, a checkpoint_dir that is damaged or another run's; the model is then as it was.
        FloatingPointError: loss or gradient is NaN or infinite; neither that step nor a later one has changed a weight.
    """
    recipe = Recipe(**plain(asdict(recipe or Recipe())))
    epochs, lr, batch_size, patience, save_every = plain([epochs, lr, batch_size, patience, save_every])
    options = {"epochs": epochs, "batch_size": batch_size, "metric": metric, **asdict(recipe), "seed": plain(seed)}
    check_options(lr=lr, patience=patience, save_every=save_every, num_workers=num_workers, **options)
    check_options(precision=precision)
    if save_every and not checkpoint_dir:
        raise ValueError(f"save_every={save_every} needs a checkpoint_dir.")
    precision = precision or runtime.precision(runtime.device())
    options |= {"seed": (seed := runtime.shifted(options["seed"])), "precision": precision}
    accelerator = _accelerator(precision, log_with)
    set_seed(seed)
    model.to(accelerator.device)
    if any(isinstance(module, nn.Conv2d) for module in model.modules()):
        model.to(memory_format=torch.channels_last)  # the layout in which convolutions are fastest
    check_classes(classes_of(train), validation, "validation")
    loader = training_loader(train, model, batch_size, seed, num_workers, "any" if loss else "classes", epochs)
    trained_on[model] = classes_of(train)
    data, batches, finish = loader.dataset, loader.batch_sampler, getattr(loader, "finish", None)
    groups = [g | plain({k: v for k, v in g.items() if k != "params"}) for g in groups or ()]
    groups = groups or parameter_groups(model, lr, weight_decay=recipe.weight_decay)
    for group in groups:
        check_options(**{name: group.get(name) for name in ("lr", "weight_decay")})
    optimizer = torch.optim.AdamW(groups, fused=accelerator.device.type in ("cpu", "cuda"))
    options |= {"lr": [float(group["lr"]) for group in optimizer.param_groups]}
    identity = {}
    if checkpoint_dir:
        identity = options | fingerprints(model, optimizer, train, validation, loss, options["seed"])
    starting = origin(model, checkpoint_dir) if checkpoint_dir else nullcontext()

    with starting as initial_weights, _prepared(accelerator, model, loader, optimizer) as (wrapped, loader, optimizer):
        steps = epochs * len(loader)
        schedule = "linear" if recipe.decay else "constant_with_warmup"
        scheduler = get_scheduler(schedule, optimizer, round(recipe.warmup * steps), steps)
        step = Step(wrapped, loss or cross_entropy, optimizer, accelerator, recipe.max_grad_norm)
        learn = graphs.Steps(step, getattr(batches, "batch_size", None), max(getattr(batches, "lengths", None) or [0]))
        run = _Run(model, optimizer, scheduler, accelerator, step, metric)
        run.history.settings = options | {"patience": patience, "device": runtime.name(accelerator.device)}
        identity |= {"steps_an_epoch": len(loader), "processes": accelerator.num_processes}
        identity |= {"initial weights": initial_weights}
        saves = Saves(checkpoint_dir, run, identity) if checkpoint_dir else None
        if log_with:
            accelerator.init_trackers("course_utils", {k: str(v) for k, v in run.history.settings.items()})
        begun = run.step
        if validation is not None and not begun:
            run.begin(_validate(model, validation, precision, accelerator))
        silent = not (progress and accelerator.is_main_process)
        with tqdm(total=steps, initial=run.step, desc="training", disable=silent) as bar:
            while run.step < steps and not run.stopped(patience):
                epoch, done = divmod(run.step, len(loader))
                order_by(data, batches, seed, epoch)
                wrapped.train()
                started, earlier = time.perf_counter(), run.examples
                for batch in skip_first_batches(loader, done) if done else loader:
                    inputs, labels = unpack(batch, finish=finish)
                    # Each step has a seed of its own, so that a resumed run draws an uninterrupted one's dropout.
                    own_seed = hash((seed, run.step, accelerator.process_index)) % 2**63
                    report = learn(inputs, labels, own_seed)  # forward, loss, backward, clipping, optimizer.step()
                    run.count(report, labels)
                    scheduler.step()
                    bar.update()
                    if run.examples:
                        bar.set_postfix(epoch=epoch + 1, loss=f"{run.loss_sum / run.examples:.3f}", refresh=False)
                    if save_every and run.step % save_every == 0 and run.step % len(loader):
                        run.look()
                        saves.write()
                run.look()
                rate = (run.examples - earlier) * accelerator.num_processes / (time.perf_counter() - started)
                metrics = _validate(model, validation, precision, accelerator) if validation is not None else None
                run.end_epoch(metrics, rate)
                if saves:
                    saves.write()
        if begun and run.step == begun:
            accelerator.print(f"Nothing trained: {saves.path} holds this run to its end.")
        elif run.history.best_epoch == 0:
            accelerator.print("No epoch was better than the starting weights: these are what the model is left with.")
        if run.best_weights is not None:
            model.load_state_dict(run.best_weights)
    known = getattr(getattr(model, "config", None), "id2label", None) or {}
    if trained_on[model] and [*known.values()] == [f"LABEL_{i}" for i in range(len(trained_on[model]))]:
        name_classes(model, trained_on[model])
    return run.history


@dataclass
class _Run:
    """All that changes during training: what `Saves` writes, and a resumed run starts from."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    accelerator: Accelerator
    learner: Step
    metric: str
    history: History = field(default_factory=History)
    step: int = 0
    loss_sum: float = 0.0  # of this epoch's examples, as is the next
    examples: int = 0
    best: tuple[float, float] | None = None  # metric, minus loss: what a better epoch exceeds
    best_weights: dict | None = None
    unseen: list = field(default_factory=list)  # steps that the device was not asked about: report, labels, rate
    ahead: int = 1  # steps to take before it is asked
    looked: float = field(default_factory=time.perf_counter)

    def count(self, report: torch.Tensor, labels: torch.Tensor) -> None:
        self.step += 1
        self.unseen.append((report, labels, self.scheduler.get_last_lr()[0]))
        if len(self.unseen) >= self.ahead:
            self.look()

    def look(self) -> None:
        """Ask the device how the last steps went. A GPU is asked seldom, for it has to stand still for an answer."""
        if not self.unseen:
            return
        unseen, self.unseen = self.unseen, []
        reports = torch.stack([report for report, _, _ in unseen]).tolist()
        for i, (report, (_, labels, lr)) in enumerate(zip(reports, unseen, strict=True)):
            if self.learner.failed(report):
                self.fail(self.step - len(unseen) + i + 1, lr, labels, *report)
            self.history.losses.append(report[0])
            self.loss_sum += report[0] * len(labels)
            self.examples += len(labels)
        now = time.perf_counter()
        if self.learner.on_cuda:  # twice a second at least, after as many steps as that takes
            a_step = (now - self.looked) / len(unseen)
            self.ahead = max(1, min(2 * self.ahead, round(0.25 / a_step)))
        self.looked = now

    def fail(self, step: int, lr: float, labels: torch.Tensor, loss: float, norm: float) -> None:
        if self.learner.loss is cross_entropy:
            check_labels(labels, self.learner.classes)
        what = f"length of the gradient is {norm}" if math.isfinite(loss) else f"loss is {loss}"
        raise FloatingPointError(
            f"The {what} at step {step}, learning rate {lr:.2g}. This step "
            "has changed no weight (but the statistics of batch norm, if there is any). Try a smaller lr or "
            "precision='fp32', and look for NaN in the inputs."
        )

    def totals(self) -> tuple[float, int]:
        """Sum of the losses and number of the examples of this epoch so far, on all processes."""
        if self.accelerator.num_processes == 1:
            return self.loss_sum, self.examples
        share = torch.tensor([self.loss_sum, float(self.examples)], device=self.accelerator.device)
        loss_sum, examples = self.accelerator.reduce(share, "sum").tolist()
        return loss_sum, round(examples)

    def begin(self, metrics: Metrics) -> None:
        self.history.start = self._judged(metrics, epoch=0)

    def end_epoch(self, metrics: Metrics | None, rate: float) -> None:
        epoch = len(self.history.records) + 1
        loss_sum, examples = self.totals()
        record = {"epoch": epoch, "loss": loss_sum / examples, "examples_per_second": rate}
        if metrics:
            record |= self._judged(metrics, epoch)
        self.history.records.append(record)
        self.loss_sum, self.examples = 0.0, 0
        self.accelerator.log(record, step=epoch)

    def _judged(self, metrics: Metrics, epoch: int) -> dict:
        """What the record says of an epoch, whose weights are kept if they are the best so far."""
        score = (-metrics.loss if self.metric == "loss" else getattr(metrics, self.metric), -metrics.loss)
        if self.best is None or score > self.best:
            self.best, self.history.best_epoch = score, epoch
            self.best_weights = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        return {f"validation_{k}": v for k, v in asdict(metrics).items() if k != "confusion"}

    def stopped(self, patience: int | None) -> bool:
        waited = len(self.history.records) - (self.history.best_epoch or 0)
        return patience is not None and self.best is not None and waited >= patience


def _accelerator(precision: str, log_with) -> Accelerator:
    cpu = runtime.device().type == "cpu"
    earlier = PartialState(cpu=cpu)
    states = [AcceleratorState, GradientState]  # an earlier fit, or a Trainer, may have used another precision
    if earlier.num_processes == 1 and (earlier.device.type == "cpu") != cpu:
        states.append(PartialState)  # … or another device
    for state in states:
        reset = getattr(state, "_reset_state", None)  # a private name, which a later accelerate may drop
        if reset:
            reset()
    copying = DataLoaderConfiguration(non_blocking=runtime.device().type == "cuda")  # while the GPU computes
    mixed = {"fp32": "no"}.get(precision, precision)
    unused = [DistributedDataParallelKwargs(find_unused_parameters=True)]  # such as a pooler that no head reads
    made = Accelerator(
        cpu=cpu,
        mixed_precision=mixed,
        dataloader_config=copying,
        kwargs_handlers=unused,
        log_with=log_with,
        project_dir="runs" if log_with else None,
    )
    if log_with and not made.log_with:
        raise ValueError(f"log_with={log_with!r}: this tracker is not installed; pip install it first.")
    return made


@contextmanager
def _prepared(accelerator: Accelerator, model: nn.Module, loader: DataLoader, optimizer: torch.optim.Optimizer):
    """What ``accelerator.prepare`` makes of the three; afterwards the model has none of accelerate's attributes left.

    accelerate's own undoing, ``unwrap_model``, would take transformers' decorators off `forward` too.
    """
    before = set(vars(model))
    prepared = accelerator.prepare(model, loader, optimizer)
    added = set(vars(model)) - before
    try:
        yield prepared
    finally:
        optimizer.zero_grad()
        for name in added:
            delattr(model, name)
        model.eval()
        for tracker in accelerator.trackers:
            tracker.finish()


def _validate(model: nn.Module, data, precision: str, accelerator: Accelerator) -> Metrics:
    """The metrics that process 0 finds, for all of them, so that all agree on the best epoch."""
    metrics = [evaluate(model, data, precision=precision) if accelerator.is_main_process else None]
    return broadcast_object_list(metrics)[0]
