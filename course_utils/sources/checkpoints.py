"""Where pretrained weights come from: the Hub, torchvision, or a bundled stand-in that needs no network."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path

import torch
from huggingface_hub import constants, snapshot_download, try_to_load_from_cache
from safetensors.torch import load_file, save_file
from torch import nn
from torchvision.models import ResNet18_Weights, Weights, get_model, get_model_weights
from torchvision.models.resnet import BasicBlock, ResNet

from course_utils import runtime
from course_utils.sources import download, network
from course_utils.sources.download import Remote, sha256
from course_utils.sources.minilm import minilm, verified

# What the course needs of a checkpoint on the Hub.
HUB_FILES = ("config.json", "tokenizer_config.json", "tokenizer.json", "vocab.txt", "model.safetensors")
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
    rather than stand in; ``bundled`` never asks for it. A stand-in is announced in one line, with the reason.

    Args:
        name: the Hub's name of the checkpoint, for example ``"bert-base-uncased"``; or one that the course trained
            itself and always brings along, ``"bert-mini-en"`` or ``"bert-mini-zh"``.

    Returns:
        The same name, or a folder.

    Raises:
        ValueError: the name is unknown, or the stand-in's files are damaged.
        ConnectionError: COURSE_SOURCE is ``hub`` and the Hub does not give it; or neither is its stand-in at hand.
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
    found = _from_mirror(name)
    if not found and not _cached(name):
        _bring(name)
    if runtime.device().type == "cpu":
        times = STAND_INS[name].times_as_fast
        print(f"{name} takes about {times} times as long on a CPU as its stand-in, COURSE_SOURCE=bundled.")
    return found or name


def _from_mirror(name: str) -> str | None:
    """The folder of a checkpoint that a class-room's mirror holds; None where it does not."""
    sums = download.sums()
    paths = [path for file in HUB_FILES if (path := f"hub/{name}/{file}") in sums]
    if not paths:
        return None
    download.fetch_all([Remote(path, sums[path], ()) for path in paths])
    return str(download.cache_dir() / "hub" / name)


def _cached(name: str) -> bool:
    needed = ("config.json", "tokenizer.json", "model.safetensors")
    return all(isinstance(try_to_load_from_cache(name, file), str) for file in needed)


def _bring(name: str) -> None:
    """Download a checkpoint into the Hub's cache now: later, in ``from_pretrained``, no stand-in could help."""
    why = network.unreachable(f"{constants.ENDPOINT}/{name}/resolve/main/config.json")
    if constants.HF_HUB_OFFLINE:
        why = "HF_HUB_OFFLINE is set"
    if not why:
        try:
            network.in_background(
                partial(snapshot_download, name, allow_patterns=list(HUB_FILES), endpoint=constants.ENDPOINT)
            )
        except Exception as error:  # huggingface_hub passes on what the libraries below it raise
            why = network.first_line(error)
        else:  # offline, it also hands out what an earlier download left
            why = "" if _cached(name) else "its files did not come whole"
    if why:
        raise runtime.Unavailable(
            f"{constants.ENDPOINT} did not give {name} ({why}), and it is not in the Hub's cache: check the network, "
            "name a mirror in HF_ENDPOINT or COURSE_MIRROR, or set COURSE_SOURCE=bundled"
        )


def bundled(name: str) -> Path:
    """The folder of a checkpoint that is part of this package, after a check of its files."""
    folder = Path(str(files("course_utils") / "bundled" / name))
    return verified(folder, BUNDLED_FILES[name], remedy="install the course's package again")


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
    file, remote = torch_home(weights)
    published = False

    def public():
        nonlocal published
        published = _weights_are_there(file, remote)
        try:
            return get_model(name, weights=weights if pretrained else None), weights
        except Exception as error:  # other weights under this name: torch says so over many lines
            raise runtime.Unavailable(f"{file} does not hold the weights of {name}: delete it to have them") from error

    stand_in = f"{RESNET10}, 10 classes, 64 px"
    return runtime.choose(name, public, lambda: _resnet10(pretrained), stand_in=stand_in, genuine=lambda: published)


def torch_home(weights: Weights) -> tuple[Path, Remote]:
    """Where torchvision looks for a file of weights, and where that can be had.

    Its name ends in the first digits of its sha256: torchvision publishes no more of it.
    """
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
    digits = file.stem.rpartition("-")[2]
    return file, Remote(f"torch-home/hub/checkpoints/{file.name}", digits, (weights.url,))


def _weights_are_there(file: Path, remote: Remote) -> bool:
    """Bring weights to where torchvision looks for them; False if what is there can be used, but is not published.

    Raises:
        Unavailable: they cannot be had, or what is there is damaged and cannot be replaced.
    """
    try:
        if not file.exists() or sha256(file).startswith(remote.sha256):
            download.fetch(remote, target=file)
            return True
    except OSError as error:
        if isinstance(error, runtime.Unavailable):
            raise
        raise runtime.Unavailable(f"{file} cannot be read ({error.strerror}): mend that, or set TORCH_HOME") from error
    try:
        torch.load(file, map_location="cpu", weights_only=True)
    except Exception as damage:  # whatever damaged pickles and archives raise
        try:
            download.fetch(remote, target=file)
        except runtime.Unavailable as error:
            raise runtime.Unavailable(f"{file} is damaged ({type(damage).__name__}): delete it. {error}") from error
        return True
    print(f"{file} is not the file that torchvision publishes under this name; delete it to have that one.")
    return False


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
