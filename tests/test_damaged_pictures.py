"""A minute of damaged pictures: each is read, or refused in one sentence; notes may say what they like."""

import io
import random
import time
import warnings
from collections import Counter

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin

from course_utils.pictures import PictureError, read_picture

NOTE = b"a note that nobody needs " * 20
FORMATS = {
    "JPEG": {"comment": NOTE},
    "PNG": {},
    "WEBP": {"xmp": NOTE},
    "AVIF": {"xmp": NOTE},
    "GIF": {"comment": NOTE},
    "TIFF": {"compression": "tiff_lzw"},
    "BMP": {},
    "PPM": {},
    "DDS": {},
    "TGA": {},
    "JPEG2000": {},
}


def photograph(form):
    """A file of this format with notes of every kind that it can carry, and the pixels that a viewer shows."""
    shades = np.linspace(0, 255, 48 * 40 * 3).reshape(40, 48, 3).astype(np.uint8)
    picture = Image.fromarray(shades)
    options = dict(FORMATS[form])
    if form in ("JPEG", "PNG", "WEBP", "AVIF"):
        exif = Image.Exif()
        exif[0x010F], exif[0x0132], exif[0x011A] = "a camera", "2026:01:01 00:00:00", TiffImagePlugin.IFDRational(72, 1)
        exif.get_ifd(0x8769)[0x9003] = "2026:01:01 00:00:00"
        options |= {"exif": exif, "icc_profile": NOTE}
    if form == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt("Comment", NOTE.decode(), zip=True)
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def damaged(content, chance):
    """The bytes with some changed, cut off, doubled or left out, more of them at the start, where the headers are."""
    content = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        at = int(len(content) * chance.random() ** chance.choice((1, 4)))
        match chance.choice(["flip", "byte", "number", "cut", "double", "drop"]):
            case "flip":
                content[at : at + 1] = bytes(b ^ 1 << chance.randrange(8) for b in content[at : at + 1])
            case "byte":
                content[at : at + 1] = bytes([chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))])
            case "number":
                content[at : at + 4] = chance.choice(
                    (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\1\0")
                )
            case "cut":
                del content[chance.randrange(at, len(content) + 1) :]
            case "double":
                content[at:at] = content[at : at + chance.randrange(64)]
            case "drop":
                del content[at : at + chance.randrange(64)]
    return bytes(content)


def outcome(content):
    started = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Pillow says of damaged notes
        try:
            read = read_picture(content)
        except PictureError as error:
            assert str(error).startswith("The picture "), error
            return "refused"
        finally:
            assert time.monotonic() - started < 10, "no picture may hold a run up"
    assert read.mode == "RGB" and min(read.size) >= 8
    return "read"


def damage(seconds):
    chance = random.Random(0)
    whole = {form: photograph(form) for form in FORMATS}
    outcomes = Counter()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for form, content in whole.items():
            outcomes[form, outcome(damaged(content, chance))] += 1
    return outcomes


def test_some_damaged_pictures_are_read_or_refused_in_a_sentence():
    assert len(damage(seconds=1)) >= len(FORMATS)


@pytest.mark.hard
def test_a_minute_of_damaged_pictures_is_read_or_refused_in_a_sentence():
    outcomes = damage(seconds=60)
    for form in FORMATS:  # a damage that every file survives, or none, would test nothing
        assert outcomes[form, "read"] and outcomes[form, "refused"], outcomes


@pytest.mark.parametrize("form", [form for form in FORMATS if form not in ("BMP", "PPM", "DDS", "TGA", "JPEG2000")])
def test_whatever_the_notes_say_the_picture_is_read(form):
    content, chance = photograph(form), random.Random(0)
    expected = read_picture(content).tobytes()
    places = [
        content.find(note)
        for note in (NOTE[:25], b"a camera", b"2026:01:01", b"II*\0", b"MM\0*", b"iTXt", b"iCCP", b"eXIf")
    ]
    places = [(at, at + length) for at, length in zip(places, (400, 40, 40, 60, 60, 30, 30, 30), strict=True) if at > 8]
    assert places or form == "TIFF"
    for at, end in places * 40:
        changed = bytearray(content)
        for _ in range(chance.randrange(1, 9)):
            changed[chance.randrange(at + 8, end)] = chance.randrange(256)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert read_picture(bytes(changed)).size in ((48, 40), (40, 48))
    assert read_picture(content).tobytes() == expected
