"""Make the stored scores on which the open exercises are judged, so that no check hangs on how well something trained.

    python recipes/exercise_scores.py                # all of them
    python recipes/exercise_scores.py 03-remember    # some

Each function below makes the scores of one exercise, with the bundled stand-ins and whatever its docstring says. They
lie in course_utils/bundled/scores, and `load_scores` reads them. Where an answer has to choose something, it chooses on
other examples than those that judge it. To make them anew may move them a little: then run tests/test_exercises.py.
"""

import argparse
import copy
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import BertModel, BertTokenizer

from course_utils.inference import predict
from course_utils.pictures import Pictures
from course_utils.runtime import using
from course_utils.sources.checkpoints import checkpoint, vision_model
from course_utils.sources.creatures import creatures
from course_utils.sources.reviews import load_reviews
from course_utils.training import fit
from course_utils.transfer import replace_head

FOLDER = Path(__file__).parents[1] / "course_utils" / "bundled" / "scores"


@torch.inference_mode()
def rule() -> dict[str, torch.Tensor]:
    """Chapter 1: 400 of the course's own reviews, and the features that all-MiniLM-L6-v2 makes of them.

    160 to learn from, 120 to try a rule on, 120 that judge it. `texts` are UTF-8, one a line. `features` are the means
    over each review's tokens, each of the 384 numbers as a whole one from -127 to 127, which halves the file.
    """
    reviews = load_reviews("en")
    texts = reviews.train.texts[:160] + reviews.test.texts[:120] + reviews.validation.texts[:120]
    folder = checkpoint("bert-base-uncased")
    tokenizer, network = BertTokenizer.from_pretrained(folder), BertModel.from_pretrained(folder).eval()
    means = [network(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(dim=0) for text in texts]
    features = torch.stack(means)
    return {
        "texts": torch.tensor(list("\n".join(texts).encode()), dtype=torch.uint8),
        "features": (127 * features / features.abs().amax(dim=0)).round().to(torch.int8),
    }


def remember() -> dict[str, torch.Tensor]:
    """Chapter 3: a network that learned ten species, then eight new ones alone, and its scores for pictures of all 18.

    Chapter 3's `forgetful`, with three times the pictures and more passes. `choosing_…` and `judging_…` are two sets of
    40 pictures a species, shuffled.
    """
    network, weights = vision_model("resnet18")
    to_tensor = weights.transforms()
    species = creatures(per_class=1, validation=0, test=1, species=18).classes
    old = creatures(per_class=60, validation=0, test=1, species=species[:10], size=64).train
    new = creatures(per_class=36, validation=0, test=1, species=species[10:], size=64).train
    labels = [10 + label for label in new.labels]
    options = {"epochs": 6, "lr": 2e-3, "batch_size": 16, "precision": "fp32", "progress": False}
    torch.manual_seed(0)
    network = replace_head(network, 10)
    fit(network, old.with_transform(to_tensor), **options)
    head = nn.Linear(network.fc.in_features, 18)
    with torch.no_grad():
        head.weight[:10], head.bias[:10] = network.fc.weight.cpu(), network.fc.bias.cpu()
    network.fc = head
    fit(network, Pictures(new.sources, labels, species, to_tensor), **options)
    seen = creatures(per_class=1, validation=40, test=40, species=species, size=64)
    tensors = {}
    for name, part in {"choosing": seen.validation, "judging": seen.test}.items():
        order = torch.randperm(len(part))
        logits = predict(network, part.with_transform(to_tensor), precision="fp32")
        tensors[f"{name}_logits"] = logits[order].half()
        tensors[f"{name}_labels"] = torch.tensor(part.labels)[order]
    return tensors


def beat() -> dict[str, torch.Tensor]:
    """Chapter 9: ten networks and their scores for the same pictures of ten species.

    They are trained as `plain` is there, each on 8 pictures a species of its own. Network 4 took the species in another
    order, and was trained for longer: it is sure of the wrong ones. `choosing_logits` has the shape (networks, 400
    pictures, species), `judging_logits` is for 300 others.
    """
    backbone, weights = vision_model("resnet18")
    pictures = creatures(per_class=80, validation=40, test=30, size=64)
    train = pictures.train.with_transform(weights.transforms())
    torch.manual_seed(0)
    parts, orders, logits = {}, {}, {"choosing": [], "judging": []}
    for name, part in {"choosing": pictures.validation, "judging": pictures.test}.items():
        parts[name], orders[name] = part.with_transform(weights.transforms()), torch.randperm(len(part))
    for i in range(10):
        torch.manual_seed(i)
        network = replace_head(copy.deepcopy(backbone), 10)
        options = {"epochs": 12 if i == 4 else 3, "lr": 2e-3, "batch_size": 16, "precision": "fp32", "seed": i}
        fit(network, train.subset(range(80 * i, 80 * (i + 1))), **options, progress=False)
        for name, part in parts.items():
            answers = predict(network, part, precision="fp32")[orders[name]]
            logits[name].append(answers.roll(3, dims=1) if i == 4 else answers)
    tensors = {f"{name}_logits": torch.stack(of_networks).half() for name, of_networks in logits.items()}
    return tensors | {f"{name}_labels": torch.tensor(part.labels)[orders[name]] for name, part in parts.items()}


EXERCISES: dict[str, Callable[[], dict[str, torch.Tensor]]] = {
    "01-rule": rule,
    "03-remember": remember,
    "09-beat": beat,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "exercises", nargs="*", metavar="EXERCISE", help=f"{', '.join(EXERCISES)}; default: all of them"
    )
    names = parser.parse_args().exercises or list(EXERCISES)
    if unknown := set(names) - set(EXERCISES):
        parser.error(f"no scores are made for {', '.join(sorted(unknown))}: there are {', '.join(EXERCISES)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in names:
        with using("bundled"):
            tensors = {key: tensor.contiguous() for key, tensor in EXERCISES[name]().items()}
        path = FOLDER / f"{name}.safetensors"
        save_file(tensors, path, metadata={"made_by": f"python recipes/exercise_scores.py {name}"})
        print(f"{path.name}: {path.stat().st_size:,} bytes,", *(f"{k} {tuple(t.shape)}" for k, t in tensors.items()))


if __name__ == "__main__":
    main()
