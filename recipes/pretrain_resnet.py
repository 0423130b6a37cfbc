"""Train `resnet10-cifar10`, the stand-in for ImageNet's ResNets, on all 50,000 training pictures of CIFAR-10.

    python recipes/pretrain_resnet.py                          # one process, on the GPU if there is one
    torchrun --nproc-per-node 2 recipes/pretrain_resnet.py     # several; --batch-size is then each one's

An interrupted run goes on where it stopped; `--start-from` goes on from the weights of a training that has ended. The
test pictures are looked at once, at the end.
"""

import argparse
import json
from pathlib import Path

import torch
from accelerate import PartialState
from record import write_record
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset
from torchvision.transforms.v2.functional import pil_to_tensor

from course_utils.inference import evaluate
from course_utils.options import Recipe
from course_utils.runtime import using
from course_utils.sources.checkpoints import IMAGENET_MEAN, IMAGENET_STD, RESNET10_WEIGHTS, resnet10, save_fp16
from course_utils.sources.photographs import load_cifar10
from course_utils.training import fit

SHIFT = 8  # pixels of 64: the farthest that a picture is moved, about an eighth as usual
# Pixels of 64: the side of the square that is cut out of a picture (https://arxiv.org/abs/1708.04552). Cut by hand,
# because torchvision's RandomErasing takes twice as long as all that is done here to a picture.
HOLE = 24


class AugmentedPictures(Dataset):
    """CIFAR-10's pictures, enlarged to 64 px once; shifted, mirrored and cut anew each time that one is asked for."""

    def __init__(self, pictures: torch.Tensor, labels: list[int]):
        enlarged = [F.interpolate(part.float(), 64, mode="bilinear", antialias=True) for part in pictures.split(1000)]
        self.pictures = torch.cat([F.pad(part, [SHIFT] * 4, mode="reflect").round().byte() for part in enlarged])
        self.labels = labels
        self.mean, self.std = (255 * torch.tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        top, left = torch.randint(0, 2 * SHIFT + 1, (2,)).tolist()
        picture = self.pictures[index, :, top : top + 64, left : left + 64]
        if torch.randint(2, ()):
            picture = picture.flip(-1)
        picture = (picture - self.mean) / self.std
        top, left = (torch.randint(64, (2,)) - HOLE // 2).tolist()  # near an edge, a part of the hole lies outside
        picture[:, max(0, top) : top + HOLE, max(0, left) : left + HOLE] = 0
        return picture, self.labels[index]


def model_card(record: dict) -> str:
    """What a reader should know of the weights, with every figure taken from the record of their training."""
    options, history = record["options"], record["history"]
    curve = "\n".join(f"| {row['epoch']} | {row['loss']:.3f} |" for row in history[3::4])
    accuracy, loss = f"{record['test_accuracy']:.4f}", f"{record['test_loss']:.3f}"
    return f"""# resnet10-cifar10

torchvision's `ResNet(BasicBlock, [1, 1, 1, 1])` with 4.9 million weights for the ten classes of CIFAR-10, on pictures
of 64 px. It stands in for ImageNet's networks where these cannot be had (`course_utils.vision_model`).

**Test accuracy {accuracy}**, loss {loss}, on CIFAR-10's 10,000 test pictures, looked at when a training had ended,
after rounding to half precision.

- **Data**: the 50,000 training pictures of CIFAR-10 (Krizhevsky, 2009), as the JPEG files of a public copy, enlarged
  from 32 px. The course holds none of them. Each was shifted by up to {SHIFT} px, mirrored and given a square hole of
  {HOLE} px, all at random.
- **Recipe**: `{record["command"]}`: {len(history)} epochs, {options["batch_size"]} pictures a step,
  AdamW, peak learning rate {options["lr"]}, weight decay {options["weight_decay"]}, warm-up and linear decay, labels
  smoothed by {options["label_smoothing"]}.
- **Hardware**: {record["hardware"]}, {record["precision"]}, {record["minutes"]:.0f} minutes. PyTorch {record["torch"]}.
- **Files**: weight matrices in fp16, normalisation layers and biases in fp32; `record.json` has these figures.
- **Licence**: BSD-3-Clause, as the course's code.
- **Limits**: it knows ten classes and small pictures, and answers with one of the ten whatever it is shown.

| epoch | training loss |
|---|---|
{curve}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--weight-decay", type=float, default=0.2)
    parser.add_argument("--label-smoothing", type=float, default=0.1)
    parser.add_argument("--per-class", type=int, default=5000, help="training pictures a class; fewer for a trial")
    parser.add_argument("--num-workers", type=int, default=0, help="processes that load data: a few, beside a GPU")
    parser.add_argument("--start-from", type=Path, help="go on from the weights in this folder")
    parser.add_argument("--out", type=Path, default=Path("_build/recipes/resnet10-cifar10"))
    options = parser.parse_args()
    out = options.out
    if options.start_from and out.resolve() == options.start_from.resolve():
        parser.error(f"--out and --start-from are both {out}: give the new weights a folder of their own.")

    with using("hub"):  # CIFAR-10 or nothing: no drawn creatures in its place
        cifar = load_cifar10(options.per_class, validation=0)
    pictures = torch.stack([pil_to_tensor(picture) for picture, _ in cifar.train])
    data = AugmentedPictures(pictures, cifar.train.labels)
    torch.manual_seed(0)
    model = resnet10()
    before = {}
    if options.start_from:
        before = json.loads((options.start_from / "record.json").read_text())
        model.load_state_dict(load_file(options.start_from / "model.safetensors"))
    history = fit(
        model, data, epochs=options.epochs, lr=options.lr, batch_size=options.batch_size,
        recipe=Recipe(weight_decay=options.weight_decay), num_workers=options.num_workers, checkpoint_dir=out,
        loss=nn.CrossEntropyLoss(label_smoothing=options.label_smoothing),
        seed=before.get("steps", 0),  # other holes and shifts than in the training that it goes on from
    )  # fmt: skip
    if not PartialState().is_main_process:
        return
    save_fp16(model, out / "model.safetensors")
    model.load_state_dict(load_file(out / "model.safetensors"))  # rounded, as others will have it
    metrics = evaluate(model, cifar.test.with_transform(RESNET10_WEIGHTS.transforms()))
    scores = {"test_accuracy": metrics.accuracy, "test_loss": metrics.loss}
    write_record(out, model_card, history, options, len(data), before, **scores)
    print(f"test accuracy {metrics.accuracy:.4f}; weights and record in {out}")


if __name__ == "__main__":
    main()
