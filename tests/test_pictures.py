"""Pictures: whatever the file, an upright RGB picture or one clear sentence; splits that fit together."""

import errno
import io
import multiprocessing
import os
import re
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.models import resnet18
from torchvision.transforms import v2

from course_utils.pictures import PictureError, Pictures, PictureSplits, load_folder, read_picture
from course_utils.sources.download import Remote
from course_utils.sources.photographs import CIFAR10, load_cifar10, load_pokemon
from course_utils.training import fit


def picture(width=32, height=24, color="red", mode="RGB"):
    return Image.new(mode, (width, height), color)


def encoded(image, form="PNG", **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def png(depth, color_type, row, transparent):
    """A PNG of 32×24 pixels, made by hand: Pillow writes neither 2, 4 nor 16 bits with a transparent colour."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 32, 24, depth, color_type, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"tRNS", transparent), (b"IDAT", zlib.compress((b"\0" + row) * 24)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*parts) for parts in chunks)


def tiff(values):
    """A TIFF of integers, signed or not, made by hand: Pillow writes no unsigned ones of 32 bits."""
    height, width = values.shape
    tags = {256: width, 257: height, 258: 8 * values.itemsize, 259: 1, 262: 1, 273: 8, 277: 1, 278: height}
    tags |= {279: values.nbytes, 339: 2 if values.dtype.kind == "i" else 1}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + values.nbytes) + values.tobytes() + directory


@pytest.mark.parametrize(
    ("image", "form", "expected"),
    [
        (picture(), "JPEG", (254, 0, 0)),
        (picture(mode="L", color=128), "PNG", (128, 128, 128)),
        (picture(mode="LA", color=(128, 0)), "PNG", (255, 255, 255)),
        (picture(mode="RGBA", color=(255, 0, 0, 0)), "PNG", (255, 255, 255)),
        (picture(mode="RGBA", color=(0, 0, 0, 51)), "PNG", (204, 204, 204)),
        (picture(mode="CMYK", color=(0, 255, 255, 0)), "TIFF", (255, 0, 0)),
        (picture(mode="1", color=1), "PNG", (255, 255, 255)),
        (Image.fromarray(np.full((24, 32), 0x8000, np.uint16)), "PNG", (128, 128, 128)),
        (Image.fromarray(np.full((24, 32), 0x8000, np.dtype(">u2"))), "TIFF", (128, 128, 128)),
        (Image.fromarray(np.full((24, 32), 0x8000, np.int32)), "TIFF", (128, 128, 128)),
        (Image.fromarray(np.full((24, 32), 0x80, np.int32)), "TIFF", (128, 128, 128)),
        (picture().convert("P"), "GIF", (255, 0, 0)),
        (picture(mode="L", color=128), "PPM", (128, 128, 128)),
        (picture(), "AVIF", (255, 0, 0)),
        (picture(), "DDS", (255, 0, 0)),
        (picture(), "TGA", (255, 0, 0)),
    ],
    ids=lambda value: getattr(value, "mode", None),
)
def test_every_kind_of_picture_becomes_what_a_person_sees(image, form, expected):
    read = read_picture(encoded(image, form))
    assert read.mode == "RGB" and read.size == (32, 24)
    assert np.abs(np.array(read.getpixel((5, 5))) - expected).max() <= 1 + (form == "AVIF")


def test_a_palette_with_a_transparent_colour_gets_a_white_background():
    image = picture(color="red").quantize(4)
    assert read_picture(encoded(image)).getpixel((0, 0)) == (255, 0, 0)
    see_through = encoded(image, transparency=image.getpixel((0, 0)))
    assert read_picture(see_through).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("content", "left", "right"),
    [
        (png(16, 0, b"\x80\0" * 16 + b"\x10\0" * 16, b"\x10\0"), 128, 255),
        (png(16, 0, b"\x80\0" * 16 + b"\x80\1" * 16, b"\x80\0"), 255, 128),
        (png(4, 0, b"\x55" * 8 + b"\x66" * 8, b"\0\5"), 255, 102),
        (png(2, 0, b"\x55" * 4 + b"\xaa" * 4, b"\0\1"), 255, 170),
        (png(16, 2, b"\x20\0" * 48 + b"\x30\0" * 48, b"\x20\0" * 3), 255, 48),
    ],
    ids=["16 bits, dark", "16 bits, one of two alike", "4 bits", "2 bits", "16 bits of RGB"],
)
def test_a_transparent_colour_is_white_at_any_depth(content, left, right):
    read = read_picture(content)
    assert [read.getpixel((x, 5)) for x in (5, 27)] == [(left,) * 3, (right,) * 3]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.full((24, 32), 0x8000, np.uint16), 128),
        (np.full((24, 32), 0x4000, np.int16), 64),
        (np.full((24, 32), 2**30, np.int32), 128),
        (np.full((24, 32), 2**31, np.uint32), 128),
        (np.full((24, 32), 2**32 - 1, np.uint32), 255),
    ],
    ids=lambda value: str(getattr(value, "dtype", value)),
)
def test_integers_of_any_size_are_scaled_to_the_grey_that_they_mean(values, expected):
    assert read_picture(tiff(values)).getpixel((5, 5)) == (expected,) * 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_picture_that_the_camera_turned_is_turned_back(form, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.new("RGB", (32, 24), "black")
    stored.paste("white", (0, 0, 16, 12))
    read = read_picture(encoded(stored, form, exif=exif))
    assert read.size == ((32, 24) if orientation < 5 else (24, 32))
    left, top = orientation in (1, 4, 5, 8), orientation in (1, 2, 5, 6)  # where the first pixel belongs
    corner = read.getpixel((4 if left else read.width - 5, 4 if top else read.height - 5))
    assert min(corner) > 240 and np.asarray(read).mean() < 80
    assert read.getexif().get(0x0112) is None, "turned twice by whoever reads it from a file"


@pytest.mark.parametrize(
    "noted", [b"Exif\0\0broken", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"]
)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_photo_is_read_whatever_its_camera_noted(noted, form):
    assert read_picture(encoded(picture(), form, exif=noted)).size == (32, 24)


def test_a_photo_is_upright_however_wrong_its_other_notes_are():
    """Pillow's own turning stops here: it would write the notes anew."""
    wrong = b"Exif\0\0II*\0\x08\0\0\0\x02\0" + struct.pack("<HHIIHHII", 0x112, 3, 1, 6, 0x131, 3, 1, 3) + bytes(4)
    assert read_picture(encoded(picture(), "JPEG", exif=wrong)).size == (24, 32)  # its Software is a number


def test_a_photo_is_read_however_long_the_notes_in_it_are():
    notes = PngImagePlugin.PngInfo()
    notes.add_text("workflow", "x" * 3_000_000, zip=True)
    assert read_picture(encoded(picture(), pnginfo=notes)).size == (32, 24)


def test_a_picture_comes_from_a_path_in_the_home_folder_or_from_bytes_of_any_kind(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    content = encoded(picture())
    (tmp_path / "one.png").write_bytes(content)
    for source in ("~/one.png", Path("~/one.png"), bytearray(content), memoryview(content)):
        assert read_picture(source).size == (32, 24)
    with pytest.raises(TypeError, match="A picture's path, its bytes or a PIL picture is needed, not list"):
        read_picture([1])


def test_a_heic_photo_is_told_how_to_be_read(tmp_path):
    content = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 100
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat/1.HEIC").write_bytes(content)
    for read in (lambda: read_picture(content), lambda: load_folder(tmp_path)[0]):
        with pytest.raises(PictureError, match="is a HEIC photo.*export it as JPEG, or call pillow_heif"):
            read()


def test_reading_leaves_the_callers_picture_as_it_is():
    stored = Image.open(io.BytesIO(encoded(picture(mode="LA", color=(128, 0)), dpi=(72, 72))))
    read = read_picture(stored)
    assert stored.mode == "LA" and "dpi" in stored.info and read.info == {}
    again = read_picture(read)
    again.putpixel((0, 0), (0, 0, 0))
    assert read.getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EMFILE])
def test_a_file_that_may_not_be_opened_is_not_called_damaged(folder, monkeypatch, number):
    def refuse(path):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(OSError, match=re.escape(os.strerror(number)) + ".*0.png"):
        load_folder(folder).in_memory(32, damaged="skip")


def broken_files():
    whole = encoded(Image.effect_noise((64, 64), 80).convert("RGB"), "JPEG")
    dds = encoded(picture(), "DDS")
    return {
        "truncated": (whole[: len(whole) // 2], "will not decode"),
        "empty": (b"", "it is no picture"),
        "text": (b"<html>404</html>", "it is no picture"),
        "png_cut_in_its_header": (encoded(picture())[:20], "will not decode"),
        "ppm_with_letters_for_numbers": (b"P3 16 16 255\n" + b"x " * 768, "will not decode"),
        "negative": (tiff(np.full((24, 32), -5, np.int16)), "its pixels go below zero"),
        "dds_of_an_unknown_kind": (dds[:80] + b"\4\0\0\0ABCD" + dds[88:], "will not decode .Unimplemented"),
        "fractions": (encoded(Image.new("F", (16, 16)), "TIFF"), "will not decode .its pixels are fractions"),
        "one_pixel": (encoded(picture(1, 1)), "has only 1×1 pixels"),
        "thin": (encoded(picture(500, 2)), "has only 500×2 pixels"),
        "bomb": (encoded(picture(20_000, 20_000, 0, "1")), "pixels than is safe|far more pixels"),
        "large": (encoded(picture(10_000, 10_000, 0, "1")), "has 10000×10000 pixels, more than is safe"),
    }


@pytest.mark.parametrize(("name", "content", "message"), [(k, *v) for k, v in broken_files().items()])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_file_that_is_no_usable_picture_is_named_with_the_reason(tmp_path, name, content, message):
    path = tmp_path / f"{name}.png"
    path.write_bytes(content)
    with pytest.raises(PictureError, match=message) as refusal:
        read_picture(path)
    assert str(path) in str(refusal.value)
    with pytest.raises(PictureError, match=message):
        read_picture(content)


def test_a_missing_file_stays_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_picture(tmp_path / "nothing.png")


@pytest.fixture
def folder(tmp_path):
    for name, color in (("cat", "red"), ("dog", "blue")):
        for i in range(3):
            path = tmp_path / name / f"{i}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(encoded(picture(40 + i, 40, color)))
    return tmp_path


def test_a_folder_of_ones_own_reads_as_torchvisions_imagefolder(folder):
    theirs = ImageFolder(folder)
    for hidden in (
        ".ipynb_checkpoints/0.png",
        "__MACOSX/cat/0.png",
        "cat/._0.png",
        "cat/.thumbs/0.png",
        "dog/@eaDir/0.jpg",
    ):
        (folder / hidden).parent.mkdir(parents=True, exist_ok=True)
        (folder / hidden).write_bytes(encoded(picture()))  # which ImageFolder would take for pictures, or for a class
    (folder / "cat/Thumbs.db").write_bytes(b"not a picture")
    (folder / "cat/more.png").mkdir()
    ours = load_folder(folder)
    assert ours.classes == theirs.classes == ["cat", "dog"]
    for (picture_a, label_a), (picture_b, label_b) in zip(ours, theirs, strict=True):
        assert label_a == label_b and picture_a.tobytes() == picture_b.tobytes()


def test_a_class_folder_without_pictures_is_named(folder):
    (folder / "emu").mkdir()
    with pytest.raises(ValueError, match="No pictures in .*emu: add some, or delete it"):
        load_folder(folder)
    with pytest.raises(FileNotFoundError, match="has no folders"):
        load_folder(folder / "emu")


def test_a_damaged_picture_is_fatal_or_a_counted_skip(folder, capsys):
    (folder / "cat" / "1.png").write_bytes(b"no picture")
    pictures = load_folder(folder)
    with pytest.raises(PictureError, match=r"cat.1\.png will not decode"):
        pictures.in_memory(32)
    rest = pictures.in_memory(32, damaged="skip")
    assert len(rest) == 5 and rest.labels == [0, 0, 1, 1, 1]
    lost = str(folder / "cat" / "1.png")
    assert capsys.readouterr().out.startswith(f"1 of 6 pictures left out:\n{lost} will not decode")
    assert len(rest.left_out) == 1 and lost in rest.left_out[0] and lost not in rest.names
    assert rest.names == [name for name in pictures.names if name != lost]
    assert rest.subset([3, 0]).names == [rest.names[3], rest.names[0]]
    for name in ("0", "2"):
        (folder / "cat" / f"{name}.png").write_bytes(b"no picture")
    with pytest.raises(PictureError, match=r"No picture of cat can be used.*0\.png"):
        load_folder(folder).in_memory(32, damaged="skip")
    with pytest.raises(ValueError, match="damaged='drop' must be 'raise' or 'skip'"):
        pictures.in_memory(32, damaged="drop")


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right of their own there")
def test_links_that_lead_nowhere_are_left_out_with_the_damaged(folder):
    (folder / "cat/gone.png").symlink_to(folder / "nothing.png")
    (folder / "cat/loop.png").symlink_to(folder / "cat/loop.png")
    with pytest.raises(OSError, match="gone"):
        load_folder(folder).in_memory(32)
    rest = load_folder(folder).in_memory(32, damaged="skip")
    assert len(rest) == 6 and len(rest.left_out) == 2


def test_what_was_no_file_is_left_out_by_its_number():
    pictures = Pictures([encoded(picture()), b"none"], [0, 0], ["one"]).in_memory(32, damaged="skip")
    assert len(pictures) == 1 and pictures.left_out[0].startswith("picture 1 will not decode")


def test_a_turned_picture_stays_upright_in_memory():
    exif = Image.Exif()
    exif[0x0112] = 6
    pictures = Pictures([encoded(picture(32, 24), "JPEG", exif=exif)], [0], ["one"])
    assert [pictures[0][0].size, pictures.in_memory(100)[0][0].size, pictures.in_memory(12)[0][0].size] == [
        (24, 32), (24, 32), (12, 16)
    ]  # fmt: skip


def test_a_class_may_have_any_name_that_no_system_adds(tmp_path):
    for name in ("$5", "_hidden", "__init", "@home"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").touch()
    (tmp_path / "$RECYCLE.BIN").mkdir()
    assert load_folder(tmp_path).classes == ["$5", "@home", "__init", "_hidden"]


@pytest.mark.parametrize("side", [0, -1, 7, 32.5, "32"])
def test_a_side_that_no_picture_can_have_is_refused(side):
    with pytest.raises(ValueError, match="must be a whole number of at least 8 pixels"):
        Pictures([picture()], [0], ["one"]).in_memory(side)


@pytest.mark.parametrize("start", multiprocessing.get_all_start_methods())
def test_worker_processes_load_pictures_however_they_are_started(folder, start):
    pictures = load_folder(folder).with_transform(v2.Compose([v2.Resize((32, 32)), v2.ToImage()]))
    loader = DataLoader(pictures, 3, num_workers=1, multiprocessing_context=start)
    assert [labels.tolist() for _, labels in loader] == [[0, 0, 0], [1, 1, 1]]


def test_pictures_in_memory_are_shrunk_to_their_shorter_side_and_never_enlarged():
    pictures = Pictures([picture(400, 200), picture(20, 60)], [0, 0], ["one"]).in_memory(100)
    assert [p.size for p, _ in pictures] == [(200, 100), (20, 60)]


def test_another_transform_leaves_the_first_as_it_is():
    pictures = Pictures([picture()], [0], ["one"])
    sized = pictures.with_transform(lambda p: p.size)
    assert sized[0] == ((32, 24), 0) and pictures[0][0].size == (32, 24)
    assert sized.subset([0, 0]).labels == [0, 0] and sized.subset([0])[0] == ((32, 24), 0)


def test_pictures_and_labels_of_unequal_number_are_refused():
    with pytest.raises(ValueError, match="2 pictures but 1 labels"):
        Pictures([picture(), picture()], [0], ["one"])


def test_a_class_that_only_the_test_has_is_named():
    def some(classes):
        return Pictures([picture()], [0], classes)

    with pytest.raises(ValueError, match="owl: a class to be tested that no training picture shows"):
        PictureSplits("own", some(["cat", "dog"]), some(["cat", "dog"]), some(["cat", "dog", "owl"]))
    unseen = Pictures([picture()], [1], ["cat", "dog"])
    with pytest.raises(ValueError, match="dog: a class to be tested that no training picture shows"):
        PictureSplits("own", some(["cat", "dog"]), some(["cat", "dog"]), unseen)
    with pytest.raises(ValueError, match="another order"):
        PictureSplits("own", some(["cat", "dog"]), some(["dog", "cat"]), some(["cat", "dog"]))


def test_pictures_without_a_transform_say_what_is_missing():
    pictures = Pictures([picture()] * 4, [0, 1, 0, 1], ["one", "two"])
    with pytest.raises(TypeError, match=r"with_transform\(weights\.transforms\(\)\)"):
        fit(resnet18(num_classes=2), pictures, epochs=1, progress=False)


def test_more_classes_than_the_head_has_are_named():
    generator = torch.Generator().manual_seed(0)
    data = [(torch.randn(3, 32, 32, generator=generator), label) for label in (0, 1, 7, 1)]
    with pytest.raises(ValueError, match="The head has 2 classes, 0 to 1, but the data has the label 7"):
        fit(resnet18(num_classes=2), data, epochs=1, progress=False)


# ---------------------------------------------------------------------------------------------- data sets


@pytest.mark.parametrize(("load", "classes"), [(load_pokemon, 5), (lambda: load_cifar10(4, validation=2, test=2), 10)])
def test_without_a_network_creatures_stand_in_and_say_so(load, classes, capsys, monkeypatch):
    monkeypatch.setenv("COURSE_SOURCE", "bundled")
    splits = load()
    assert "→ bundled stand-in: creatures drawn by this course" in capsys.readouterr().out
    assert len(splits.classes) == classes and splits.train[0][0].mode == "RGB"


def test_creatures_stand_in_without_validation_too(monkeypatch):
    monkeypatch.setenv("COURSE_SOURCE", "bundled")
    assert len(load_cifar10(2, validation=0, test=1).validation) == 0


@pytest.mark.parametrize("wrong", [{"per_class": 0}, {"per_class": 4950}, {"test": 1001}, {"validation": -1}])
def test_more_pictures_than_cifar10_has_are_refused(wrong):
    with pytest.raises(ValueError, match="CIFAR-10 has 5,000 pictures of each class"):
        load_cifar10(**wrong)


def write_mirror(folder, path, content):
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def test_a_file_with_other_bytes_than_the_manifest_says_is_named(cache, tmp_path, monkeypatch):
    from course_utils.sources import download as datasets

    monkeypatch.setenv("COURSE_SOURCE", "hub")
    monkeypatch.setenv("COURSE_MIRROR", str(tmp_path / "mirror"))
    write_mirror(tmp_path / "mirror", "pokemon5/a.png", encoded(picture()))
    wrong = Remote("pokemon5/a.png", "0" * 64, ())
    with pytest.raises(datasets.DownloadError, match=r"pokemon5/a\.png could not be had.*instead of 000.*not kept"):
        datasets.fetch_all([wrong])
    assert not (cache / "pokemon5/a.png").exists()


def test_a_repacked_archive_with_the_same_members_is_accepted(cache, tmp_path, monkeypatch):
    import zipfile

    from course_utils.sources import download as datasets

    sums = set()
    for level in (0, 9):
        path = tmp_path / f"{level}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
            for name in ("x/train/cat/1.jpg", "x/test/cat/1.jpg"):
                archive.writestr(name, b"A" * 1000 + name.encode())
        sums.add(datasets._checksum(path, Remote("p.zip", "", (), repacked=True)))
    assert len(sums) == 1
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x/train/cat/2.jpg", b"B")
    assert datasets._checksum(path, Remote("p.zip", "", (), repacked=True)) not in sums


@pytest.mark.real
def test_the_real_pokemon_are_600_whole_pictures(cache_of_real_data):
    splits = load_pokemon()
    assert splits.name == "Pokémon" and splits.classes == ["bulbasaur", "charmander", "mewtwo", "pikachu", "squirtle"]
    for split, each in ((splits.train, 72), (splits.validation, 24), (splits.test, 24)):
        assert [split.labels.count(label) for label in range(5)] == [each] * 5
        assert len(split.in_memory(32)) == 5 * each  # every file decodes


@pytest.mark.real
def test_the_real_cifar10_is_whole(cache_of_real_data):
    splits = load_cifar10(3, validation=2, test=4)
    assert splits.classes[0] == "airplane" and splits.train[0][0].size == (32, 32)
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [30, 20, 40]
    assert load_cifar10(2, validation=1, test=1).train.sources == [
        s for i, s in enumerate(splits.train.sources) if i % 3 < 2
    ]
    assert CIFAR10.repacked
