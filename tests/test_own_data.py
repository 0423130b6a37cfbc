"""The job that follows the course: from one's own table or folder to a model that works elsewhere."""

import csv
import inspect
import json
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import transforms

import course_utils as cu


def write_table(path, size=160):
    """Two columns as a spreadsheet exports them: a byte order mark, names as labels, 68 of one class to 32."""
    chance = random.Random(0)
    fill = ["it", "was", "on", "a", "table", "in", "the", "room", "and", "we", "saw", "them", "all", "again"]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        table = csv.writer(file)
        table.writerow(["text", "label"])
        for i in range(size):
            label = "praise" if i % 25 < 17 else "complaint"
            words = [*chance.choices(fill, k=8), "good" if label == "praise" else "bad", str(i)]
            table.writerow([" ".join(chance.sample(words, len(words))), label])
        table.writerow(["", "praise"])  # what people leave in tables
        table.writerow(["It was GOOD, again!", "praise"])
        table.writerow(["it was good again", "praise"])


@pytest.fixture
def table(tmp_path):
    write_table(tmp_path / "mine.csv")
    return tmp_path / "mine.csv"


def test_a_table_becomes_a_classifier_that_says_its_answers_by_name_elsewhere(table, tmp_path, capsys):
    from transformers import AutoModelForSequenceClassification, BertConfig, BertTokenizer

    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    own = cu.split([row["text"] for row in rows], [row["label"] for row in rows])
    assert "left out, empty: row 160" in capsys.readouterr().out
    assert own.classes == ["complaint", "praise"]
    tokenizer = BertTokenizer.from_pretrained(cu.checkpoint("bert-base-uncased"))
    train, validation, test = (cu.tokenize(part, tokenizer, 32) for part in (own.train, own.validation, own.test))
    torch.manual_seed(0)
    tiny = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=len(tokenizer), **tiny)  # fit gives its classes the data's names
    model = AutoModelForSequenceClassification.from_config(config)
    cu.fit(model, train, validation, epochs=8, lr=5e-3, progress=False)
    judged = cu.evaluate(model, test)
    assert judged.accuracy > 0.9 and judged.f1 > 0.9
    logits = cu.predict(model, test)
    mistakes = [text for text, p, y in zip(own.test.texts, logits.argmax(-1), own.test.labels, strict=True) if p != y]
    assert len(mistakes) == sum(map(sum, judged.confusion)) - judged.confusion[0][0] - judged.confusion[1][1]

    model.save_pretrained(tmp_path / "kept")
    tokenizer.save_pretrained(tmp_path / "kept")
    settings = json.loads((tmp_path / "kept" / "config.json").read_text(encoding="utf-8"))
    assert settings["label2id"] == {"complaint": 0, "praise": 1} and settings["id2label"]["1"] == "praise"
    elsewhere = (
        "import json, sys; from transformers import pipeline\n"
        f"classify = pipeline('text-classification', {str(tmp_path / 'kept')!r}, device='cpu')\n"
        "texts = json.load(sys.stdin)\n"
        "print(json.dumps([a['label'] for a in classify(texts, truncation=True, max_length=32)]))\n"
        "print(classify('good ' * 2000, truncation=True)[0]['label'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", elsewhere],
        input=json.dumps(own.test.texts),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    said, long = done.stdout.splitlines()[-2:]
    assert json.loads(said) == [own.classes[i] for i in logits.argmax(-1)]
    assert long in own.classes


def test_fit_leaves_names_that_a_model_has():
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    own = cu.split([f"it is {i}" for i in range(12)], ["no", "yes"] * 6)
    tokenizer = BertTokenizer.from_pretrained(cu.checkpoint("bert-base-uncased"))
    tiny = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    for given, left in (({}, {0: "no", 1: "yes"}), ({"id2label": {0: "non", 1: "oui"}}, {0: "non", 1: "oui"})):
        model = BertForSequenceClassification(BertConfig(vocab_size=len(tokenizer), **tiny, **given))
        cu.fit(model, cu.tokenize(own.train, tokenizer), epochs=1, progress=False)
        assert model.config.id2label == left


def photograph(colour, seed, side=48):
    """A coloured blob before a noisy ground, each as unlike the next as photographs are."""
    chance = np.random.default_rng(seed)
    ground = Image.fromarray(chance.integers(60, 200, (6, 6, 3), dtype=np.uint8)).resize((side, side))
    x, y = chance.integers(0, side // 2, 2)
    ground.paste(Image.new("RGB", (side // 2, side // 2), colour), (int(x), int(y)))
    return ground


@pytest.fixture
def folder(tmp_path):
    for i in range(75):
        name, colour = ("robin", (230, 40, 30)) if i % 3 == 0 else ("tit", (40, 80, 240))
        (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
        photograph(colour, i).save(tmp_path / "photos" / name / f"IMG_{i:04}.jpg", quality=90)
    (tmp_path / "photos" / "tit" / "broken.jpg").write_bytes(b"no photograph")
    (tmp_path / "photos" / ".DS_Store").write_bytes(b"hidden")
    return tmp_path / "photos"


def network():
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(8, 2))


def test_a_folder_of_photos_becomes_a_classifier_that_plain_torch_loads_elsewhere(folder, tmp_path, capsys):
    own = cu.split(cu.load_folder(folder).in_memory(32, damaged="skip"))
    assert "broken.jpg" in capsys.readouterr().out and own.classes == ["robin", "tit"]
    prepare = transforms.Compose([transforms.Resize(32), transforms.CenterCrop(32), transforms.ToTensor()])
    augment = transforms.Compose([transforms.RandomHorizontalFlip(), prepare])
    torch.manual_seed(0)
    model = network()
    validation, test = own.validation.with_transform(prepare), own.test.with_transform(prepare)
    cu.fit(model, own.train.with_transform(augment), validation, epochs=25, lr=3e-2, precision="fp32", progress=False)
    assert not model.training and cu.evaluate(model, test).accuracy > 0.8
    logits = cu.predict(model, test, precision="fp32")
    named = {name: own.classes[p] for name, p in zip(test.names, logits.argmax(-1), strict=True)}
    assert all("IMG_" in name for name in named) and len(named) == len(test)

    kept = tmp_path / "kept.pt"
    torch.save({"weights": model.state_dict(), "classes": own.classes, "side": 32}, kept)
    photo = test.names[0]
    elsewhere = (
        "import torch; from torch import nn; from PIL import Image; from torchvision import transforms\n"
        f"{inspect.getsource(network)}\n"
        f"kept = torch.load({str(kept)!r}, weights_only=True)\n"
        "model = network().eval(); model.load_state_dict(kept['weights'])\n"
        "side = kept['side']\n"
        "prepare = transforms.Compose([transforms.Resize(side), transforms.CenterCrop(side), transforms.ToTensor()])\n"
        f"photo = Image.open({photo!r}).convert('RGB')\n"
        "import sys; assert 'course_utils' not in sys.modules\n"
        "with torch.inference_mode():\n"
        "    logits = model(prepare(photo)[None])[0]\n"
        "print(kept['classes'][logits.argmax()], *logits.tolist())\n"
    )
    done = subprocess.run([sys.executable, "-c", elsewhere], capture_output=True, text=True, cwd=tmp_path, check=True)
    answer, *there = done.stdout.split()
    assert answer == named[photo]
    # the learner's copy was shrunk by in_memory first, so the pixels differ by rounding
    assert np.allclose([float(x) for x in there], logits[0], atol=0.3)
