"""Pictures with labels: reading any file safely (chapter 5), and the Dataset that chapters 9 and 10 train on."""

import copy
import io
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError
from torch.utils.data import Dataset

MIN_SIDE = 8  # pixels; less shows nothing
MAX_PIXELS = 89_478_485  # Pillow's own limit: a quarter of a gigabyte once decoded
EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".ppm", ".tif", ".tiff")


class PictureError(ValueError):
    """A picture that cannot be used; the message names the file and says why."""


def read_picture(source: str | os.PathLike | bytes | Image.Image) -> Image.Image:
    """Read a picture as a person would see it: upright, in RGB, its transparent parts white.

    Args:
        source: a file, a file's bytes, or a PIL picture.

    Returns:
        A PIL picture in mode RGB.

    Raises:
        PictureError: it will not decode, or has fewer than 8 pixels on a side, or so many that memory is at risk.
    """
    name = "The picture" if isinstance(source, (bytes, Image.Image)) else os.fspath(source)
    try:
        with nullcontext(source) if isinstance(source, Image.Image) else _open(source) as picture:
            width, height = picture.size  # from the header: nothing is decoded yet
            if width * height > MAX_PIXELS:
                raise PictureError(f"{name} has {width}×{height} pixels, more than is safe to decode: make it smaller.")
            if min(width, height) < MIN_SIDE:
                raise PictureError(f"{name} has only {width}×{height} pixels: leave it out, or find a larger copy.")
            return _in_rgb(ImageOps.exif_transpose(picture))
    except (FileNotFoundError, PictureError):
        raise
    except Image.DecompressionBombError:
        raise PictureError(f"{name} has far more pixels than is safe to decode: make it smaller.") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:  # Pillow meets damage with all four
        reason = "it is no picture" if isinstance(error, UnidentifiedImageError) else str(error)
        raise PictureError(f"{name} will not decode ({reason}): delete it, or get it again.") from error


def _open(source: str | os.PathLike | bytes) -> Image.Image:
    return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)


def _in_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "F":
        raise ValueError("its pixels are fractions, and which of them is white is not written down")
    if picture.mode.startswith("I"):  # 16-bit greyscale, which convert() would cut off at 255 instead of scaling
        picture = picture.convert("I").point(lambda value: value / 256).convert("L")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    return picture.convert("RGB")


class Pictures(Dataset):
    """A map-style Dataset of (picture, label): a PIL picture in RGB, or what `transform` makes of it.

    Args:
        sources: what `read_picture` takes, one for each picture.
        labels: their classes, as positions in `classes`.
        classes: the classes' names.
        transform: PIL picture → tensor, for example ``weights.transforms()``.
    """

    def __init__(self, sources: Sequence, labels: Sequence[int], classes: Sequence[str], transform=None):
        if len(sources) != len(labels):
            raise ValueError(f"{len(sources)} pictures but {len(labels)} labels: each picture needs one label.")
        self.sources, self.labels, self.classes = list(sources), list(labels), list(classes)
        self.transform = transform

    def __len__(self):
        return len(self.sources)

    def __getitem__(self, index: int):
        picture = read_picture(self.sources[index])
        return (self.transform(picture) if self.transform else picture), self.labels[index]

    def with_transform(self, transform: Callable | None) -> "Pictures":
        """The same pictures through another transform; these stay as they are."""
        other = copy.copy(self)
        other.transform = transform
        return other

    def subset(self, indices: Sequence[int]) -> "Pictures":
        """Some of the pictures, in this order."""
        chosen = [(self.sources[i], self.labels[i]) for i in indices]
        return Pictures([s for s, _ in chosen], [y for _, y in chosen], self.classes, self.transform)

    def in_memory(self, side: int, *, damaged: str = "raise") -> "Pictures":
        """The same pictures, decoded once and for all, so that no epoch waits for the decoder again.

        Args:
            side: larger pictures are shrunk until their shorter side has this many pixels.
            damaged: ``"raise"``, or ``"skip"``: leave out what `read_picture` refuses, and say how many.

        Raises:
            PictureError: a picture is damaged, and `damaged` is not ``"skip"``; or a class has no other ones.
        """
        if damaged not in ("raise", "skip"):
            raise ValueError(f"damaged={damaged!r} must be 'raise' or 'skip'.")
        pictures, labels, refused = [], [], []
        for source, label in zip(self.sources, self.labels, strict=True):
            try:
                pictures.append(_shrunk(read_picture(source), side))
                labels.append(label)
            except PictureError as error:
                if damaged == "raise":
                    raise
                refused.append(str(error))
        if emptied := sorted(set(self.labels) - set(labels)):
            names = ", ".join(self.classes[label] for label in emptied)
            raise PictureError(f"No picture of {names} can be used. The first that was refused: {refused[0]}")
        if refused:
            print(f"{len(refused)} of {len(self)} pictures left out. The first: {refused[0]}")
        return Pictures(pictures, labels, self.classes, self.transform)


def _shrunk(picture: Image.Image, side: int) -> Image.Image:
    scale = side / min(picture.size)
    if scale >= 1:
        return picture
    size = [max(side, round(length * scale)) for length in picture.size]
    return picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)


@dataclass(frozen=True)
class PictureSplits:
    """Pictures in three splits that share their classes; `name` says which pictures they are."""

    name: str
    train: Pictures
    validation: Pictures
    test: Pictures

    def __post_init__(self):
        known = self.train.classes
        shown = {known[label] for label in self.train.labels}
        for split in (self.validation, self.test):
            unknown = set(split.classes) - set(known)
            if not unknown and split.classes != known:
                raise ValueError(f"The classes are in another order: {split.classes} after training on {known}.")
            if unknown := unknown | {split.classes[label] for label in split.labels} - shown:
                raise ValueError(
                    f"{', '.join(sorted(unknown))}: a class to be tested that no training picture shows. Give it "
                    f"training pictures, or leave it out; training has {', '.join(sorted(shown))}."
                )

    @property
    def classes(self) -> list[str]:
        return self.train.classes


def load_folder(folder: str | os.PathLike) -> Pictures:
    """Pictures of one's own: a folder with a folder of pictures for each class, as ``torchvision``'s ImageFolder.

    Args:
        folder: for example ``"pictures/train"`` with ``cat/1.jpg``, ``dog/rex.png`` …

    Returns:
        `Pictures` whose classes are the folders' names in alphabetical order.

    Raises:
        FileNotFoundError: no such folder, or no class in it.
        ValueError: a class without pictures; it is named.
    """
    folder = Path(folder)
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not classes:
        raise FileNotFoundError(f"{folder} has no folders: put the pictures of each class into a folder of its name.")
    files = {
        name: sorted(path for path in (folder / name).rglob("*") if path.suffix.lower() in EXTENSIONS)
        for name in classes
    }
    if empty := [name for name in classes if not files[name]]:
        raise ValueError(f"No pictures in {', '.join(str(folder / name) for name in empty)}: add some, or delete it.")
    labels = [label for label, name in enumerate(classes) for _ in files[name]]
    return Pictures([path for name in classes for path in files[name]], labels, classes)
