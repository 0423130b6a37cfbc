"""A run of `fit` on disk: always whole, and resumed to the same end (what chapter 7 says that `fit` adds)."""

import os
from dataclasses import asdict
from pathlib import Path

import torch


class Saves:
    """Keeps a run in ``checkpoint_dir/run.pt``, which is always whole: a new save replaces it in one step."""

    NUMBERS = ("step", "loss_sum", "examples", "best", "best_weights")

    def __init__(self, folder: str | os.PathLike, run, identity: dict):
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
                raise OtherRun(
                    f"{self.path} was saved by another run ({'; '.join(differences)}): give this run a "
                    "checkpoint_dir of its own, or delete that one."
                )
            for name, part in self.parts.items():
                part.load_state_dict(state[name])
        except (OtherRun, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # torch.load meets damage with many kinds of error
            reason = str(error).strip().split("\n")[0]
            raise ValueError(
                f"{self.path} is damaged or belongs to another model ({type(error).__name__}: {reason}): delete it to "
                "start this run anew."
            ) from error
        for name in self.NUMBERS:
            setattr(self.run, name, state[name])
        self.run.history = type(self.run.history)(**state["history"])


class OtherRun(ValueError):
    pass
