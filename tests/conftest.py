"""What all tests share: no network by default, real data only where they are, and no silent skips in CI."""

import os
import shutil
import sys
from pathlib import Path

import pytest
import torch

os.environ.setdefault("COURSE_SOURCE", "bundled")
LEFT_OUT, NO_SANDBOX = pytest.StashKey[int](), pytest.StashKey[str]()


def pytest_collection_modifyitems(config, items):
    """Tests of the real data run wherever COURSE_MIRROR names a copy of it; elsewhere they are not part of the run."""
    if sys.platform != "linux":
        items[:] = [item for item in items if not item.get_closest_marker("linux")]
    if not torch.cuda.is_available():
        items[:] = [item for item in items if not item.get_closest_marker("cuda")]
    if any(item.get_closest_marker("sandbox") for item in items):
        from course_utils.desk.judge import missing

        if why := missing():
            items[:] = [item for item in items if not item.get_closest_marker("sandbox")]
            config.stash[NO_SANDBOX] = why
    if not os.environ.get("COURSE_MIRROR"):
        real = [item for item in items if item.get_closest_marker("real")]
        items[:] = [item for item in items if item not in real]
        config.hook.pytest_deselected(items=real)
        config.stash[LEFT_OUT] = len(real)


def pytest_terminal_summary(terminalreporter, exitstatus, config):
    if left_out := config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(f"{left_out} tests of real data left out: COURSE_MIRROR names no copy of it.")
    if why := config.stash.get(NO_SANDBOX, ""):
        terminalreporter.write_line(f"Tests of the sandbox left out: {why}")
    from course_utils.desk.record import stale

    for line in stale(Path(__file__).parents[1]):
        terminalreporter.write_line(f"Record anew: {line}")


def pytest_sessionfinish(session, exitstatus):
    """In CI a skipped test fails the run: it would pass for a checked one."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter and reporter.stats.get("skipped") and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of downloads, and no mirror."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("COURSE_MIRROR", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def cache_of_real_data(tmp_path, monkeypatch):
    """An empty cache, filled from COURSE_MIRROR, its ResNet-18, and no stand-ins."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COURSE_SOURCE", "hub")
    weights = Path(os.environ["COURSE_MIRROR"]) / "torch-home"
    if weights.is_dir():
        monkeypatch.setenv("TORCH_HOME", str(weights))


@pytest.fixture(autouse=True)
def no_earlier_choices(monkeypatch):
    """Each test announces its stand-ins anew."""
    monkeypatch.setattr("course_utils.runtime._chosen", {})


@pytest.fixture
def no_hub(monkeypatch, cache, tmp_path):
    """An empty Hub cache, and a Hub that refuses the connection at once."""
    from huggingface_hub import constants

    from course_utils.sources import network

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(network, "_answered", set())
    monkeypatch.setattr(network, "BACKOFF", 0.01)
    network._session.cache_clear()


@pytest.fixture(scope="session")
def small_bert(tmp_path_factory):
    """The files of a checkpoint that has the shape of BERT and few weights."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    from course_utils.sources.checkpoints import HUB_FILES
    from course_utils.sources.minilm import minilm

    folder = tmp_path_factory.mktemp("small-bert")
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    BertForSequenceClassification(BertConfig(vocab_size=100, **sizes)).save_pretrained(folder)
    for file in ("tokenizer_config.json", "tokenizer.json", "vocab.txt"):
        shutil.copyfile(Path(minilm()) / file, folder / file)
    return {file: (folder / file).read_bytes() for file in HUB_FILES}


@pytest.fixture
def hub(monkeypatch, no_hub, small_bert):
    from fake_hub import Hub
    from huggingface_hub import constants

    hub = Hub(small_bert)
    monkeypatch.setattr(constants, "ENDPOINT", hub.address)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.address + "/{repo_id}/resolve/{revision}/{filename}"
    )
    yield hub
    hub.close()
