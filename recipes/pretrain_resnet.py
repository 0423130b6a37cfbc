"""Train `resnet10-cifar10`, the stand-in for ImageNet's ResNets, on all 50,000 training pictures of CIFAR-10.

    python recipes/pretrain_resnet.py                          # one process, on the GPU if there is one
    torchrun --nproc-per-node 2 recipes/pretrain_resnet.py     # several; --batch-size is then each one's

It learns on small pictures first and on 64 px last: the early epochs cost a quarter, and what they learn carries over
(progressive resizing, as in https://arxiv.org/abs/2104.00298). An interrupted run goes on where it stopped. The test
pictures are looked at once, at the end.
"""

import argparse
import json
import time
from pathlib import Path

import torch
from accelerate import PartialState
from torch.nn import functional as F
from torch.utils.data import Dataset
from torchvision.transforms.v2.functional import pil_to_tensor

from course_utils.checkpoints import IMAGENET_MEAN, IMAGENET_STD, RESNET10_WEIGHTS, resnet10, save_fp16
from course_utils.datasets import load_cifar10
from course_utils.training import evaluate, fit

SHIFT, HOLE = 4, 8  # pixels of 32: the farthest shift, and the side of the square that is blanked out


class AugmentedPictures(Dataset):
    """CIFAR-10's pictures shifted, mirrored and with a hole in them, drawn anew each epoch, at that epoch's size."""

    def __init__(self, pictures: torch.Tensor, labels: list[int], sizes: list[int]):
        self.pictures = F.pad(pictures.float(), [SHIFT] * 4, mode="reflect").byte()
        self.labels, self.sizes = labels, sizes
        self.mean, self.std = (torch.tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:  # `fit` calls it
        self.size = self.sizes[epoch]

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        top, left, hole_top, hole_left, mirrored = torch.randint(0, 2**20, (5,)).tolist()
        top, left = top % (2 * SHIFT + 1), left % (2 * SHIFT + 1)
        picture = self.pictures[index, :, top : top + 32, left : left + 32].float() / 255
        picture = (picture - self.mean) / self.std
        hole_top, hole_left = hole_top % (32 - HOLE + 1), hole_left % (32 - HOLE + 1)
        picture[:, hole_top : hole_top + HOLE, hole_left : hole_left + HOLE] = 0  # the mean colour
        if mirrored % 2:
            picture = picture.flip(-1)
        if self.size != 32:
            picture = F.interpolate(picture[None], self.size, mode="bilinear", align_corners=False)[0]
        return picture, self.labels[index]


def size_by_epoch(epochs: int) -> list[int]:
    """32 px for the first two fifths of the epochs, 48 px for the next, 64 px for the rest."""
    return [32 if e < 0.4 * epochs else 48 if e < 0.8 * epochs else 64 for e in range(epochs)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=18)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--per-class", type=int, default=5000, help="training pictures a class; fewer for a trial")
    parser.add_argument("--num-workers", type=int, default=0, help="processes that load data: a few, beside a GPU")
    parser.add_argument("--out", type=Path, default=Path("_build/recipes/resnet10-cifar10"))
    options = parser.parse_args()
    out = options.out

    cifar = load_cifar10(options.per_class, validation=0)
    pictures = torch.stack([pil_to_tensor(picture) for picture, _ in cifar.train])
    data = AugmentedPictures(pictures, cifar.train.labels, size_by_epoch(options.epochs))
    torch.manual_seed(0)
    model = resnet10()
    started = time.perf_counter()
    history = fit(
        model, data, epochs=options.epochs, lr=options.lr, batch_size=options.batch_size,
        weight_decay=options.weight_decay, num_workers=options.num_workers, checkpoint_dir=out,
    )  # fmt: skip
    minutes = (time.perf_counter() - started) / 60
    if not PartialState().is_main_process:
        return
    save_fp16(model, out / "model.safetensors")
    metrics = evaluate(model, cifar.test.with_transform(RESNET10_WEIGHTS.transforms()))
    record = {"test_accuracy": metrics.accuracy, "test_loss": metrics.loss, "minutes": minutes}
    record |= {"history": history.records, "options": {k: v for k, v in vars(options).items() if k != "out"}}
    (out / "record.json").write_text(json.dumps(record, indent=2) + "\n")
    print(f"test accuracy {metrics.accuracy:.4f}; weights and record in {out}")


if __name__ == "__main__":
    main()
