"""A run of `fit` on disk: always whole, and resumed to the same end (what chapter 7 says that `fit` adds)."""

import os
import zipfile
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from weakref import WeakKeyDictionary

import torch
from torch import nn

from course_utils import runtime
from course_utils.fingerprint import fingerprint

# model → the folder of its last run, the weights that it was left with, and those that it had started from
_left: WeakKeyDictionary = WeakKeyDictionary()


@contextmanager
def origin(model: nn.Module, folder: str | os.PathLike):
    """The fingerprint of the weights that a run starts from, for as long as it runs.

    A model that a run in the same folder left half trained, and that nobody has changed since, counts as what it was
    at first: the same cell, run again, goes on.
    """
    now, place = fingerprint(model.state_dict()), Path(folder).absolute()
    where, left, start = _left.get(model, (None, None, None))
    start = start if (where, left) == (place, now) else now
    try:
        yield start
    finally:
        _left[model] = place, fingerprint(model.state_dict()), start


class Saves:
    """Keeps a run in ``checkpoint_dir/run.pt``, which is always whole: a new save replaces it in one step."""

    NUMBERS = ("step", "loss_sum", "examples", "best", "best_weights")

    def __init__(self, folder: str | os.PathLike, run, identity: dict):
        self.path = Path(folder) / "run.pt"
        self.run, self.identity = run, identity
        self.parts = {"model": run.model, "optimizer": run.optimizer, "scheduler": run.scheduler}
        if run.accelerator.scaler is not None:
            self.parts["scaler"] = run.accelerator.scaler
        run.accelerator.wait_for_everyone()  # the main process may still be writing an interrupted run's last save
        if self.path.exists():
            self._go_on(self._checked(self._read()))

    def write(self) -> None:
        loss_sum, examples = self.run.totals()
        if not self.run.accelerator.is_main_process:
            return
        state = {name: part.state_dict() for name, part in self.parts.items()}
        state |= {name: getattr(self.run, name) for name in self.NUMBERS}
        state |= {"loss_sum": loss_sum, "examples": examples, "device": runtime.name(self.run.accelerator.device)}
        state |= {"identity": self.identity, "history": asdict(self.run.history)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(".unfinished")
        try:
            with unfinished.open("wb") as file:  # given a path, torch.save would hide why a write failed
                torch.save(state, file)
            if objects := torch.serialization.get_unsafe_globals_in_checkpoint(unfinished):
                raise ValueError(
                    f"The run cannot be saved, for its state holds more than tensors and numbers "
                    f"({', '.join(objects)}): keep these out of the model's or the optimizer's state_dict."
                )
            os.replace(unfinished, self.path)
        except OSError as error:
            raise OSError(
                f"The run could not be saved in {self.path.parent} ({error.strerror}): free some space or choose "
                "another checkpoint_dir. An earlier save there is still whole."
            ) from error
        finally:
            unfinished.unlink(missing_ok=True)

    def _read(self) -> dict:
        try:
            with zipfile.ZipFile(self.path) as file:
                if damaged := file.testzip():  # torch.load does not compare the checksums that torch.save writes
                    raise zipfile.BadZipFile(f"the checksum of {damaged} is wrong")
        except (PermissionError, MemoryError):
            raise
        except Exception as error:  # damage is met with many kinds of error
            raise ValueError(f"{self.path} is damaged ({error}): delete it to start this run anew.") from error
        try:
            return torch.load(self.path, map_location="cpu", weights_only=True)
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            raise ValueError(
                f"{self.path} is no save of fit ({type(error).__name__}): choose another checkpoint_dir."
            ) from error

    def _checked(self, state: dict) -> dict:
        """The state, if it is this run's; nothing is loaded before all of it was compared."""
        there, here = state.get("identity", {}), dict(self.identity)
        finished = state.get("step") == there.get("epochs", 0) * there.get("steps_an_epoch", 0)
        if finished and there["epochs"] < here["epochs"]:
            here["epochs"] = there["epochs"]  # a run that goes on after its end
        differing = [name for name in here if there.get(name) != here[name]]
        if differing:
            raise ValueError(
                f"{self.path} was saved by another run ({'; '.join(_words(name, there, here) for name in differing)}) "
                f"on {state.get('device')}: call fit as that run did to go on with it, with the model as it was, "
                "or give this run a checkpoint_dir of its own."
            )
        if state.keys() < {*self.parts, *self.NUMBERS, "history"}:
            raise ValueError(f"{self.path} was saved by another version of fit: choose another checkpoint_dir.")
        return state

    def _go_on(self, state: dict) -> None:
        run, device = self.run, runtime.name(self.run.accelerator.device)
        if state["device"] != device:
            print(f"Going on from a save made on {state['device']}; on {device} the last digits will differ.")
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        for name in self.NUMBERS:
            setattr(run, name, state[name])
        if not run.accelerator.is_main_process:
            run.loss_sum, run.examples = 0.0, 0  # the sums of all processes lie with the main one
        run.history = type(run.history)(**state["history"] | {"settings": run.history.settings})
        if state["identity"]["epochs"] != self.identity["epochs"]:  # the rate rises to where a run of so many would be
            rates = zip(run.scheduler.base_lrs, run.scheduler.lr_lambdas, strict=True)
            for group, (lr, share) in zip(run.optimizer.param_groups, rates, strict=True):
                group["lr"] = lr * share(run.scheduler.last_epoch)


def _words(name: str, there: dict, here: dict) -> str:
    return f"other {name}" if " " in name else f"{name}={there.get(name)} there, {here[name]} here"
