"""Pictures with labels: reading any file safely (chapter 5), and the Dataset that chapters 9 and 10 train on."""

import copy
import errno
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ExifTags import Base as Exif
from torch.utils.data import Dataset

MIN_SIDE = 8  # pixels; less shows nothing
MAX_PIXELS = 89_478_485  # Pillow's own limit: a quarter of a gigabyte once decoded
EXTENSIONS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".avif", ".gif", ".bmp", ".dib", ".ppm", ".pgm",
    ".pbm", ".pnm", ".tif", ".tiff", ".tga", ".dds", ".jp2",
)  # fmt: skip
HEIC = (".heic", ".heif")  # found in a folder, too, so that none is left out without a word
HIDDEN = (".", "__MACOSX", "@eaDir", "$RECYCLE")  # how the names begin that systems add, as in .ipynb_checkpoints
NOT_THE_PICTURES_FAULT = (errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE)


class PictureError(ValueError):
    """A picture that cannot be used; the message names the file and says why."""


def read_picture(source: str | os.PathLike | bytes | Image.Image) -> Image.Image:
    """Read a picture as a person would see it: upright, in RGB, its transparent parts white.

    Args:
        source: a file, also ``~/…``; a file's bytes; or a PIL picture.

    Returns:
        A PIL picture in mode RGB.

    Raises:
        PictureError: it will not decode, or has fewer than 8 pixels on a side, or so many that memory is at risk.
        OSError: the file is missing or may not be read.
    """
    name = os.fspath(source) if isinstance(source, (str, os.PathLike)) else "The picture"
    content = source if isinstance(source, Image.Image) else _content(source)
    try:
        picture = content if content is source else Image.open(io.BytesIO(content))
        width, height = picture.size  # from the header: nothing is decoded yet
        if width * height > MAX_PIXELS:
            raise PictureError(f"{name} has {width}×{height} pixels, more than is safe to decode: make it smaller.")
        if min(width, height) < MIN_SIDE:
            raise PictureError(f"{name} has only {width}×{height} pixels: leave it out, or find a larger copy.")
        return _upright(_in_rgb(picture), picture)
    except PictureError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureError(f"{name} has far more pixels than is safe to decode: make it smaller.") from None
    except Exception as error:  # Pillow meets damage with many kinds of error
        if isinstance(error, UnidentifiedImageError) and content[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1"):
            raise PictureError(
                f"{name} is a HEIC photo, which Pillow does not read by itself: export it as JPEG, or call "
                "pillow_heif.register_heif_opener() after pip install pillow-heif."
            ) from None
        reason = "it is no picture" if isinstance(error, UnidentifiedImageError) else str(error) or type(error).__name__
        raise PictureError(f"{name} will not decode ({reason}): delete it, or get it again.") from error


def _content(source: str | os.PathLike | bytes) -> bytearray:
    """A file's bytes; a PNG's without notes, for Pillow refuses pictures whose notes are damaged or long."""
    if isinstance(source, (str, os.PathLike)):
        source = Path(source).expanduser().read_bytes()
    elif not isinstance(source, (bytes, bytearray, memoryview)):
        raise TypeError(f"A picture's path, its bytes or a PIL picture is needed, not {type(source).__name__}.")
    content, at = bytearray(source), 8
    while content.startswith(b"\x89PNG") and at < len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4])
        kind, checksum = content[at + 4 : at + 8], content[end - 4 : end]
        is_whole = crc32(content[at + 4 : end - 4]).to_bytes(4) == checksum
        if kind[:1].isupper() or kind == b"tRNS" or (kind == b"eXIf" and is_whole):  # capital: a decoder needs it
            at = end
        else:
            del content[at:end]
    return content


def _in_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "F":
        raise ValueError("its pixels are fractions, and which of them is white is not written down")
    stored_as = picture.tile[0][3] if getattr(picture, "tile", None) else picture.mode
    if stored_as in (scale := {"L;2": 85, "L;4": 17, "RGB;16B": 1 / 256}) and "transparency" in picture.info:
        # Pillow brings the pixels to 8 bits, but not the colour that is transparent
        colour = (np.array(picture.info["transparency"]) * scale[stored_as]).astype(int).tolist()
        picture.info["transparency"] = tuple(colour) if isinstance(colour, list) else colour
    if picture.mode.startswith("I"):  # grey levels beyond 255, which convert() would cut off instead of scaling
        picture = _in_8_bits(picture)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    return picture.convert("RGB")


def _in_8_bits(picture: Image.Image) -> Image.Image:
    levels = np.asarray(picture).astype(np.int64)
    signed = getattr(picture, "tag_v2", {}).get(339, (1,))[0] == 2  # TIFF's SampleFormat
    if signed and levels.min() < 0:
        raise ValueError("its pixels go below zero, and which of them is black is not written down")
    levels %= 2**32  # Pillow keeps unsigned numbers as signed ones
    bits = 16 if "16" in picture.mode or levels.max() >= 2**8 else 8
    bits = 32 - signed if levels.max() >= 2**16 else bits
    grey = Image.fromarray((levels >> (bits - 8)).astype(np.uint8))
    if (transparent := picture.info.get("transparency")) is not None:  # one of the levels before they were scaled
        grey.putalpha(Image.fromarray(np.where(levels == transparent, 0, 255).astype(np.uint8)))
    return grey


def _upright(rgb: Image.Image, source: Image.Image) -> Image.Image:
    """Turned as the decoded source's notes say, and without these: whoever reads it again shall not turn it again."""
    try:
        orientation = source.getexif().get(Exif.Orientation)
    except Exception:  # whatever is wrong with what a camera noted, the picture itself may be whole
        orientation = None
    rgb.info = {}
    if orientation in range(2, 9):
        rgb.getexif()[Exif.Orientation] = orientation
        ImageOps.exif_transpose(rgb, in_place=True)
    return rgb


class Pictures(Dataset):
    """A map-style Dataset of (picture, label): a PIL picture in RGB, or what `transform` makes of it.

    Args:
        sources: what `read_picture` takes, one for each picture.
        labels: their classes, as positions in `classes`.
        classes: the classes' names.
        transform: PIL picture → tensor, for example ``weights.transforms()``.
        names: what to call each picture, in `names`; None: its file, or else its number.
    """

    def __init__(
        self,
        sources: Sequence,
        labels: Sequence[int],
        classes: Sequence[str],
        transform: Callable | None = None,
        names: Sequence[str] | None = None,
    ):
        if len(sources) != len(labels):
            raise ValueError(f"{len(sources)} pictures but {len(labels)} labels: each picture needs one label.")
        self.sources, self.labels, self.classes = list(sources), list(labels), list(classes)
        self.transform = transform
        self.names = list(names) if names is not None else [
            os.fspath(s) if isinstance(s, (str, os.PathLike)) else f"picture {i}" for i, s in enumerate(sources)
        ]  # fmt: skip
        self.left_out: list[str] = []  # why, of each picture that `in_memory` left out

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
        columns = ([column[i] for i in indices] for column in (self.sources, self.labels, self.names))
        sources, labels, names = columns
        return Pictures(sources, labels, self.classes, self.transform, names)

    def in_memory(self, side: int, *, damaged: str = "raise") -> "Pictures":
        """The same pictures, decoded once and for all, so that no epoch waits for the decoder again.

        Args:
            side: larger pictures are shrunk until their shorter side has this many pixels.
            damaged: ``"raise"``, or ``"skip"``: leave out what `read_picture` refuses and links that lead nowhere, and
                list them, also in the result's `left_out`.

        Raises:
            PictureError: a picture is damaged, and `damaged` is not ``"skip"``; or a class has no other ones.
        """
        if damaged not in ("raise", "skip"):
            raise ValueError(f"damaged={damaged!r} must be 'raise' or 'skip'.")
        if not isinstance(side, (int, np.integer)) or side < MIN_SIDE:
            raise ValueError(f"side={side} must be a whole number of at least {MIN_SIDE} pixels, for example 256.")
        pictures, kept, refused = [], [], []
        for i, source in enumerate(self.sources):
            try:
                pictures.append(_shrunk(read_picture(source), side))
                kept.append(i)
            except (PictureError, OSError) as error:
                if damaged == "raise" or getattr(error, "errno", None) in NOT_THE_PICTURES_FAULT:
                    raise
                refused.append(str(error).replace("The picture ", f"{self.names[i]} ", 1))
        rest = self.subset(kept)
        rest.sources, rest.left_out = pictures, refused
        if emptied := sorted(set(self.labels) - set(rest.labels)):
            names = ", ".join(self.classes[label] for label in emptied)
            raise PictureError(f"No picture of {names} can be used. The first that was refused: {refused[0]}")
        if refused:
            print("\n".join([f"{len(refused)} of {len(self)} pictures left out:", *refused]))
        return rest


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
    folder = Path(folder).expanduser()
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(HIDDEN))
    if not classes:
        raise FileNotFoundError(f"{folder} has no folders: put the pictures of each class into a folder of its name.")
    files = {name: sorted(_pictures_in(folder / name)) for name in classes}
    if empty := [name for name in classes if not files[name]]:
        raise ValueError(f"No pictures in {', '.join(str(folder / name) for name in empty)}: add some, or delete it.")
    labels = [label for label, name in enumerate(classes) for _ in files[name]]
    return Pictures([path for name in classes for path in files[name]], labels, classes)


def _pictures_in(folder: Path) -> list[Path]:
    paths = (path for path in folder.rglob("*") if path.suffix.lower() in EXTENSIONS + HEIC and not path.is_dir())
    return [path for path in paths if not any(p.startswith(HIDDEN) for p in path.relative_to(folder).parts)]
