"""What pretraining is worth on pictures: fine-tuned, and the same network from random weights; three seeds each.

    COURSE_MIRROR=… TORCH_HOME=… python benchmarks/pictures_accuracy.py [--only TASK …] [--arms ARM …] [--record]

Tasks, with the number of training pictures a class: `creatures-20` (drawn; resnet10-cifar10), and where the real
pictures and an ImageNet ResNet-18 can be had, `pokemon-72`, `pokemon-20` and `cifar10-100`. Both networks get the same
pictures, augmentation and epochs. The ResNet-18 in TORCH_HOME need not be torchvision's own.
"""

from dataclasses import dataclass

import numpy as np
import torch
from common import argument_parser, report
from sklearn.linear_model import LogisticRegression
from torchvision.transforms import v2

import course_utils as cu
from course_utils.runtime import using


@dataclass(frozen=True)
class Task:
    """Which pictures, at which size, and how the network is trained on them."""

    source: str
    network: str
    per_class: int
    side: int  # pixels
    epochs: int
    lr: float
    batch_size: int = 16
    head_lr: float | None = None  # of the new last layer; None: lr
    scratch_lr: float = 1e-3  # random weights bear larger steps
    smallest_crop: float = 0.7  # share of a training picture's area


ARMS = ["pretrained", "random"]
TASKS = {
    "creatures-20": Task("creatures", "resnet10-cifar10", per_class=20, side=64, epochs=20, lr=1e-3),
    "pokemon-72": Task("pokemon", "resnet18", per_class=72, side=160, epochs=10, lr=5e-4, smallest_crop=0.5),
    "pokemon-20": Task(
        "pokemon", "resnet18", per_class=20, side=224, epochs=25, lr=3e-4, head_lr=1e-3, smallest_crop=0.6
    ),
    "cifar10-100": Task("cifar10", "resnet18", per_class=100, side=128, epochs=8, lr=5e-4, head_lr=2e-3),
}


def load(task: Task) -> cu.PictureSplits:
    if task.source == "creatures":
        return cu.creatures(task.per_class, validation=10, test=50, species=10, size=task.side)
    if task.source == "cifar10":
        return cu.load_cifar10(task.per_class, test=200)
    pictures = cu.load_pokemon()
    labels = np.array(pictures.train.labels)
    chosen = [i for label in range(5) for i in np.flatnonzero(labels == label)[: task.per_class]]
    return cu.PictureSplits(pictures.name, pictures.train.subset(chosen), pictures.validation, pictures.test)


def transforms(task: Task):
    """For training: another crop, mirrored at random. For testing: the whole picture, squeezed into a square."""
    to_tensor = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    to_tensor.append(v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    crop = v2.RandomResizedCrop(task.side, scale=(task.smallest_crop, 1))
    training = v2.Compose([crop, v2.RandomHorizontalFlip(), *to_tensor])
    return training, v2.Compose([v2.Resize((task.side, task.side)), *to_tensor])


def prepared(task: Task, splits: cu.PictureSplits):
    """Training and test pictures, decoded once."""
    training, testing = transforms(task)
    larger = task.side * 5 // 4
    train, test = splits.train.in_memory(larger), splits.test.in_memory(larger)
    return train.with_transform(training), test.with_transform(testing)


def accuracy(task: Task, train, test, seed: int, pretrained: bool) -> float:
    """Train one network, without any choice on the way, and test it once."""
    cu.setup(seed)
    model, _ = cu.vision_model(task.network, pretrained)
    cu.replace_head(model, len(train.classes))
    groups = cu.parameter_groups(model, task.lr, head_lr=task.head_lr) if pretrained else None
    options = {"lr": task.scratch_lr, "groups": groups, "batch_size": task.batch_size, "seed": seed}
    cu.fit(model, train, epochs=task.epochs, progress=False, **options)
    return cu.evaluate(model, test).accuracy


def colours_alone(splits: cu.PictureSplits) -> float:
    """Test accuracy of a logistic regression on 8 × 8 × 8 colour histograms."""

    def histograms(pictures):
        bins = [np.array(picture.resize((64, 64))) // 32 for picture, _ in pictures]
        return np.stack([np.bincount((b @ [64, 8, 1]).ravel(), minlength=512) / 4096 for b in bins])

    model = LogisticRegression(C=100, max_iter=2000).fit(histograms(splits.train), splits.train.labels)
    return float(model.score(histograms(splits.test), splits.test.labels))


if __name__ == "__main__":
    parser = argument_parser(__doc__)
    parser.add_argument("--only", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    for name in options.only:
        task = TASKS[name]
        with using("bundled" if task.source == "creatures" else "hub"):
            splits = load(task)
            train, test = prepared(task, splits)
            colours = colours_alone(splits)
            for seed in range(options.seeds):
                values = {f"pictures-{name}-colours": colours}
                for arm in options.arms:
                    values[f"pictures-{name}-{arm}"] = accuracy(task, train, test, seed, pretrained=arm == "pretrained")
                source = "bundled" if task.source == "creatures" else "mirror"
                report(name, values, source=source, seed=seed, record=options.record)
