"""Pictures on their way to a GPU (chapters 9 and 10), which would wait for them: as bytes, loaded by many processes."""

import copy
import os
import pickle
import shutil
import sys
import time
from collections.abc import Callable, Sequence

import torch
from torch.utils.data import Dataset, Subset

from course_utils import runtime
from course_utils.pictures import Pictures

IMAGE_FOLDER = "torchvision.datasets.folder.ImageFolder"
WORTH = 5.0  # seconds of loading in all, from which on it pays to start processes for it


def for_batches(data: Dataset) -> tuple[Dataset, Callable | None]:
    """Pictures that stay bytes, and what then makes of a batch of them, on the device, what their transform asks for.

    Whatever is drawn at random stays with each picture, and the values are the same. Other data stay as they are.
    """
    if type(data) is Subset:
        whole, finish = for_batches(data.dataset)
        return Subset(whole, data.indices), finish
    if type(data) is not Pictures and f"{type(data).__module__}.{type(data).__name__}" != IMAGE_FOLDER:
        return data, None
    data = copy.copy(data)
    data.transform, finish = _split(data.transform)
    return data, finish


def _split(transform) -> tuple[Callable, Callable | None]:
    """What a transform of torchvision's does to each picture, and what it does last, alike to every pixel."""
    if not type(transform).__module__.startswith("torchvision.transforms"):
        return transform, None
    from torchvision import transforms as v1  # takes a second to import, but the transform has done so
    from torchvision.transforms import v2

    steps, last = list(getattr(transform, "transforms", ())) if type(transform) in (v1.Compose, v2.Compose) else [], []
    if type(transform).__name__ == "ImageClassification":  # of weights.transforms()
        resize = v1.Resize(transform.resize_size, transform.interpolation, antialias=transform.antialias)
        normalize = v1.Normalize(transform.mean, transform.std)
        steps = [resize, v1.CenterCrop(transform.crop_size), v1.ToTensor(), normalize]
    while steps and (
        (type(steps[-1]) in (v1.Normalize, v2.Normalize) and all(steps[-1].std))
        or (type(steps[-1]) is v2.ToDtype and isinstance(steps[-1].dtype, torch.dtype))
    ):
        step = steps.pop()
        last.insert(0, _Normalize(step.mean, step.std) if hasattr(step, "std") else step)
    if last and steps and type(steps[-1]) is v1.ToTensor:
        steps[-1] = v2.PILToTensor()
        last.insert(0, v1.ConvertImageDtype(torch.float32))
    whole = v2.Compose if type(transform) is v2.Compose else v1.Compose
    return (whole(steps), v1.Compose(last)) if steps and last else (transform, None)


class _Normalize:
    """torchvision's, but mean and deviation are sent to the GPU once: each time, it would have to be waited for."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        self.mean, self.std = (torch.tensor(values).view(-1, 1, 1) for values in (mean, std))

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        self.mean, self.std = self.mean.to(pictures), self.std.to(pictures)
        return pictures.sub(self.mean).div_(self.std)


def workers_for(data: Dataset, batch_size: int, epochs: int = 1) -> dict:
    """A DataLoader's arguments for loading in processes, where a GPU would wait and it takes long enough to pay.

    They are forked, so that none holds pictures in memory a second time. Where systems cannot do that, each would
    import everything anew and be sent its own copy: there, whoever wants them names their number.
    """
    if runtime.device().type != "cuda" or sys.platform != "linux":
        return {}
    started = time.perf_counter()
    examples = [data[i] for i in range(0, len(data), -(-len(data) // 8))]
    seconds = (time.perf_counter() - started) / len(examples) * len(data) * epochs
    cores = len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    # Batches come back through shared memory, of which a container may have little; two a process are under way.
    room = shutil.disk_usage("/dev/shm").free // (4 * batch_size * len(pickle.dumps(examples[0])))
    workers = min(cores - 1, room, 16)
    return {"num_workers": workers, "multiprocessing_context": "fork"} if seconds > WORTH and workers > 0 else {}
