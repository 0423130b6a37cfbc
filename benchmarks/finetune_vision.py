"""Training ResNet-18 on pictures of 128 px: the documents' float32 loop beside `cu.fit`, and what feeds them.

    python benchmarks/finetune_vision.py [--pictures 640] [--side 128] [--record]

Both train the same network from random weights on the same drawn pictures, after a warm-up, at several batch sizes: the
documents name none, and half precision gains the more the larger it is. Beside them: pictures a second of loading alone
(as the chapters do it: decoded once, then crop, flip and normalisation), and of the steps alone on one batch that lies
ready; loading must not be the bottleneck. From files, as JPEG: the loop in one process and with loader processes, in
the precision that the hardware computes fastest; `cu.fit`, which chooses their number. Of `cu.fit`: the share that its
convolutions have of the rate of one large matrix product, and on a GPU the share of the time in which that computes.
On a GPU it takes 224 px and 2,560 pictures, unless told otherwise. Last, five epochs of a head on cached features
(`cu.embed`) against five in which a frozen backbone computes them anew.
"""

import copy
import os
import tempfile
from pathlib import Path

import torch
from common import argument_parser, busy_share, convolution_operations, matrix_rate, report, seconds_of
from torch import nn
from torch.utils.data import DataLoader
from torchvision.models import resnet18
from torchvision.transforms import v2

import course_utils as cu
from course_utils import runtime

BATCHES, CLASSES = (16, 32, 64, 128), 10
HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def documents_loop(model: nn.Module, data, batch: int, *, workers: int = 0, half: bool = False) -> None:
    """Document 002's way: SGD with a learning rate of 0.01, the default layout of memory, float32 unless half."""
    device = runtime.device()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    model.to(device).train()
    dtype = HALF.get(runtime.precision(device)) if half else None
    scaler = torch.amp.GradScaler(device.type, enabled=dtype is torch.float16)
    loader = DataLoader(
        data, batch, shuffle=True, num_workers=workers, pin_memory=bool(workers) and device.type == "cuda"
    )
    for pictures, labels in loader:
        optimizer.zero_grad()
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            logits = model(pictures.to(device))
        scaler.scale(nn.functional.cross_entropy(logits.float(), labels.to(device))).backward()
        scaler.step(optimizer)
        scaler.update()


def fit(model: nn.Module, data, batch: int = 32, epochs: int = 1, workers: int = 0) -> None:
    cu.fit(model, data, epochs=epochs, lr=1e-3, batch_size=batch, num_workers=workers, progress=False)


def pictures_per_second(train, data, batch: int) -> float:
    model = resnet18(num_classes=CLASSES)
    train(model, torch.utils.data.Subset(data, range(2 * batch)), batch)  # warm-up
    return len(data) / seconds_of(lambda: train(model, data, batch), warm_up=False)


def steps_alone(data, batch: int) -> float:
    """Pictures a second of the steps that `fit` takes, on a batch that lies ready."""
    device = runtime.device()
    model = resnet18(num_classes=CLASSES).to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    pictures, labels = next(iter(DataLoader(data, batch)))
    pictures, labels = pictures.to(device, memory_format=torch.channels_last), labels.to(device)
    half = HALF.get(runtime.precision(device))

    def step():
        with torch.autocast(device.type, dtype=half, enabled=half is not None):
            logits = model(pictures)
        nn.functional.cross_entropy(logits.float(), labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    return batch / seconds_of(step, 5)


def head_on_cached_features(data) -> dict:
    """Five epochs of a head: on features computed once, against on those of a frozen backbone, computed anew."""
    torch.manual_seed(0)
    model = cu.freeze(resnet18(num_classes=CLASSES))
    cu.unfreeze(model.fc)
    head = copy.deepcopy(model.fc)
    features = []
    once = seconds_of(lambda: features.append(cu.embed(model, data)), warm_up=False)
    cached = seconds_of(lambda: fit(head, features[0], epochs=5), warm_up=False)
    anew = seconds_of(lambda: fit(model, data, epochs=5), warm_up=False)
    return {
        "vision-head-features-seconds": once,
        "vision-head-cached-seconds": cached,
        "vision-head-anew-seconds": anew,
        "vision-head-weights-differ": (head.weight - model.fc.weight.cpu()).abs().max().item(),
    }


def from_files(data, batch: int) -> dict:
    """Pictures a second, each read from a JPEG each time."""
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder, f"{i}.jpg")) for i in range(len(data))]
        for file, picture in zip(files, data.sources, strict=True):
            picture.save(file, quality=90)
        data = cu.Pictures(files, data.labels, data.classes, data.transform)
        workers = min(8, os.cpu_count() or 1)

        def loop(*arguments):
            documents_loop(*arguments, workers=workers, half=True)

        return {
            f"vision-{batch}-files-documents-loop": pictures_per_second(documents_loop, data, batch),
            f"vision-{batch}-files-{workers}-workers-loop": pictures_per_second(loop, data, batch),
            f"vision-{batch}-files-fit": pictures_per_second(fit, data, batch),
        }


if __name__ == "__main__":
    on_gpu = runtime.device().type == "cuda"
    parser = argument_parser(__doc__)
    parser.add_argument("--pictures", type=int, default=2560 if on_gpu else 640)
    parser.add_argument("--side", type=int, default=224 if on_gpu else 128)
    options = parser.parse_args()
    SIDE = options.side
    if options.quick:
        options.pictures, BATCHES = 40, (16,)
    elif on_gpu:
        BATCHES = (64,)
    cu.setup(seed=0)
    to_tensor = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.25] * 3)]
    training = v2.Compose([v2.RandomResizedCrop(SIDE, scale=(0.5, 1)), v2.RandomHorizontalFlip(), *to_tensor])
    drawn = cu.creatures(options.pictures // CLASSES, validation=1, test=1, species=CLASSES, size=SIDE * 5 // 4).train
    data = drawn.in_memory(SIDE * 5 // 4).with_transform(training)
    loading = len(data) / seconds_of(lambda: list(DataLoader(data, BATCHES[0])))
    rate = matrix_rate()
    operations = convolution_operations(resnet18(num_classes=CLASSES), SIDE)
    values = {"vision-loading": loading, "vision-side": SIDE}
    for batch in BATCHES:
        values[f"vision-{batch}-documents-loop"] = documents = pictures_per_second(documents_loop, data, batch)
        values[f"vision-{batch}-fit"] = ours = pictures_per_second(fit, data, batch)
        values[f"vision-{batch}-steps-alone"] = steps_alone(data, batch)
        values[f"vision-{batch}-fit-share-of-matrix-rate"] = ours * operations / rate
        model = resnet18(num_classes=CLASSES)
        values[f"vision-{batch}-fit-busy"] = busy_share(lambda m=model, b=batch: fit(m, data, b))
        print(f"batches of {batch}: cu.fit is {ours / documents:.2f} times as fast as the documents' loop", flush=True)
    values |= from_files(data, min(64, BATCHES[-1]))
    plain = v2.Compose([v2.Resize((SIDE, SIDE)), *to_tensor])  # the same features in each epoch
    values |= head_on_cached_features(data.with_transform(plain))
    report("", values, source="bundled", record=options.record)
