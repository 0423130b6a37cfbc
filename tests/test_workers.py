"""Processes that load data give `fit` what it would load by itself, however they start: Linux forks, others do not."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from torch import nn

from course_utils import Pictures, fit

ROOT = Path(__file__).parents[1]
SCRIPT = """
import numpy as np, torch
from PIL import Image
from torch import nn
import course_utils as cu


def change(picture):
    pixels = torch.from_numpy(np.array(picture)) / 255
    return pixels.flip(1) if torch.rand(()) < 0.5 else pixels


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(9, 4), nn.Linear(4, 2)

    def forward(self, input_ids, attention_mask):
        return self.head(self.embedding(input_ids).mean(dim=1))


def losses(data, build, workers):
    torch.manual_seed(0)
    options = dict(epochs=1, lr=0.01, batch_size=4, precision="fp32", progress=False)
    return cu.fit(build(), data, num_workers=workers, **options)["loss"]


if __name__ == "__main__":
    from transformers import BertTokenizer

    noise = np.random.default_rng(0).integers(0, 255, (8, 16, 16, 3), dtype=np.uint8)
    pictures = cu.Pictures(list(map(Image.fromarray, noise)), [0, 1] * 4, ["a", "b"], change)
    vocabulary = {word: i for i, word in enumerate("[PAD] [UNK] [CLS] [SEP] [MASK] good bad so film".split())}
    texts = cu.Split(["good film", "bad bad film", "good", "bad so so"] * 2, [1, 0, 1, 0] * 2)
    texts = cu.tokenize(texts, BertTokenizer(vocab=vocabulary))
    for data, build in ((pictures, lambda: nn.Sequential(nn.Flatten(), nn.Linear(768, 2))), (texts, Reader)):
        expected = losses(data, build, 0)
        for start in torch.multiprocessing.get_all_start_methods():
            torch.multiprocessing.set_start_method(start, force=True)
            print(type(data).__name__, start, losses(data, build, 1) == expected)
"""


def test_fit_is_the_same_with_worker_processes_however_they_start(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-2000:]
    starts = multiprocessing.get_all_start_methods()
    assert done.stdout.splitlines() == [f"{d} {s} True" for d in ("Pictures", "TokenizedTexts") for s in starts]


def of_a_notebook(picture):
    return picture


@pytest.mark.parametrize(
    ("transform", "reason"),
    [(of_a_notebook, "it uses what only this notebook defines"), (lambda picture: picture, "Can't pickle.*lambda")],
)
def test_data_that_other_processes_cannot_have_are_refused_in_a_sentence(transform, reason, monkeypatch):
    main = sys.modules["__main__"]
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda: "spawn")
    monkeypatch.setattr(of_a_notebook, "__module__", "__main__")
    monkeypatch.setattr(main, "of_a_notebook", of_a_notebook, raising=False)
    monkeypatch.delattr(main, "__file__")
    pictures = Pictures([Image.new("RGB", (16, 16))] * 4, [0, 1] * 2, ["a", "b"], transform)
    with pytest.raises(ValueError, match=f"cannot be sent this data .{reason}.*num_workers=0, or move.*without lambda"):
        fit(nn.Linear(3, 2), pictures, epochs=1, num_workers=1, progress=False)
