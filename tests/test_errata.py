"""The errata page: it has every row of the documents, quotes the errors that are raised, and what replaces them runs.

Networks are tiny here: what is checked is the call, not the score.
"""

import importlib.metadata
import math
import re
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from packaging.requirements import Requirement
from PIL import Image
from sklearn.metrics import accuracy_score, f1_score
from torch import nn
from torch.nn import functional as F
from torchvision import models, transforms
from transformers import (
    BertConfig,
    BertForPreTraining,
    BertForSequenceClassification,
    BertModel,
    BertTokenizer,
    GPT2Config,
    GPT2Model,
    RobertaConfig,
    RobertaModel,
    Trainer,
    TrainingArguments,
)

import course_utils as cu

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "book/en/errata.md").read_text(encoding="utf-8")
ROWS = [f"{letter}{i}" for letter, last in zip("ABCD", (9, 10, 7, 8), strict=True) for i in range(1, last + 1)]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"我在北京工作你哪里喜欢户外旅游?", "good", "bad", "film", "the"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """The folder of a tiny BERT, as its pretraining left it."""
    folder = tmp_path_factory.mktemp("bert")
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    torch.manual_seed(0)
    BertForPreTraining(config).save_pretrained(folder)
    BertTokenizer(vocab={word: i for i, word in enumerate(WORDS)}).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def tokenizer(bert):
    return BertTokenizer.from_pretrained(bert)


@pytest.fixture(scope="module")
def pictures():
    return cu.creatures(12, validation=2, test=6, species=3)


def hub(part, name):
    return torch.hub.load(str(ROOT), part, name, source="local")


def to_224(picture):
    """The preprocessing of the documents, which expects three channels."""
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    steps = [transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(), transforms.Normalize(mean, std)]
    return transforms.Compose(steps)(picture)


class Convolutions(nn.Module):
    """3 → 32 → 64 channels, then two linear layers; `side` is that of the last maps."""

    def __init__(self, side):
        super().__init__()
        self.flat = 64 * side * side
        self.conv1, self.conv2 = nn.Conv2d(3, 32, 3, padding=1), nn.Conv2d(32, 64, 3, padding=1)
        self.fc1, self.fc2 = nn.Linear(self.flat, 128), nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.view(-1, self.flat))))


class WordByWord(nn.Module):
    """Embedding, two layers of LSTM, and a linear layer on every step's output."""

    def __init__(self):
        super().__init__()
        self.embedding, self.lstm = nn.Embedding(10, 50), nn.LSTM(50, 50, 2, batch_first=True)
        self.fc = nn.Linear(50, 2)

    def forward(self, x, hidden=None):
        return self.fc(self.lstm(self.embedding(x), hidden)[0])


# ------------------------------------------------------------------------------------------------- what goes wrong


def forgotten_import(source):
    exec(source, {"torch": torch, "nn": nn})


def four_channels(_):
    to_224(Image.new("RGBA", (300, 300)))


def one_channel(_):
    to_224(Image.new("L", (300, 300)))


def a_batch_encoding_for_a_data_set(bert):
    tokenizer = BertTokenizer.from_pretrained(bert)
    data = tokenizer("the good film", padding=True, truncation=True, return_tensors="pt")
    model = BertForSequenceClassification.from_pretrained(bert, num_labels=2)
    Trainer(model=model, args=quiet(bert), train_dataset=data).train()


def examples_without_labels(bert):
    tokenizer = BertTokenizer.from_pretrained(bert)
    model = BertForSequenceClassification.from_pretrained(bert, num_labels=2)
    Trainer(model=model, args=quiet(bert), train_dataset=[tokenizer("the good film")] * 4).train()


def nothing_to_evaluate_on(bert):
    model = BertForSequenceClassification.from_pretrained(bert, num_labels=2)
    Trainer(model=model, args=quiet(bert)).evaluate()


def quiet(folder, **changes):
    return TrainingArguments(
        output_dir=f"{folder}/runs", disable_tqdm=True, use_cpu=True, report_to="none", save_strategy="no", **changes
    )


def functional_not_imported(_):
    forgotten_import("F.relu(torch.zeros(1))")


def pictures_of_32_pixels(_):
    Convolutions(side=6)(torch.rand(32, 3, 32, 32))


def nine_pictures_of_32_pixels(_):
    logits = Convolutions(side=6)(torch.rand(9, 3, 32, 32))
    F.cross_entropy(logits, torch.zeros(9, dtype=torch.long))


def x_from_nowhere(_):
    forgotten_import("torch.zeros(2, x.size(0), 50)")


def one_hidden_state_for_two(_):
    WordByWord()(torch.randint(10, (4, 7)), torch.zeros(2, 4, 50))


def an_output_for_each_step(_):
    F.cross_entropy(WordByWord()(torch.randint(10, (4, 7))), torch.tensor([0, 1, 0, 1]))


def lists_for_a_tensor(bert):
    ids = BertTokenizer.from_pretrained(bert)(["the good film", "bad"], padding=True).input_ids
    BertModel.from_pretrained(bert)(ids)


def a_loss_on_an_object(bert):
    batch = BertTokenizer.from_pretrained(bert)(["good", "bad"], return_tensors="pt")
    outputs = BertModel.from_pretrained(bert)(**batch, labels=torch.tensor([1, 0]))
    F.cross_entropy(outputs, torch.tensor([1, 0]))


def no_hubconf(bert):
    torch.hub.load(bert, "tokenizer", "bert-base-chinese", source="local")


def no_such_entry(bert):
    (Path(bert) / "other").mkdir(exist_ok=True)
    (Path(bert) / "other/hubconf.py").write_text("def modelForMaskedLM(name): ...\n", encoding="utf-8")
    torch.hub.load(f"{bert}/other", "modelWithLMHead", "bert-base-chinese", source="local")


def no_such_class(_):
    exec("from transformers import AutoModelWithLMHead")


def an_output_as_a_tuple(bert):
    batch = BertTokenizer.from_pretrained(bert)("我喜欢户外旅游", return_tensors="pt")
    layers, _ = BertModel.from_pretrained(bert)(**batch)
    layers.size()


def an_answer_as_a_tuple(bert):
    batch = BertTokenizer.from_pretrained(bert)("我在北京工作", "你在哪里工作?", return_tensors="pt")
    start, _ = hub("modelForQuestionAnswering", bert)(**batch)
    start.size()


FAULTS = {
    "A8": [four_channels, one_channel],
    "B6": [a_batch_encoding_for_a_data_set, examples_without_labels],
    "B7": [nothing_to_evaluate_on],
    "C3": [functional_not_imported, pictures_of_32_pixels, nine_pictures_of_32_pixels],
    "C4": [x_from_nowhere, one_hidden_state_for_two, an_output_for_each_step],
    "C6": [lists_for_a_tensor, a_loss_on_an_object],
    "D2": [no_hubconf],
    "D3": [no_such_entry, no_such_class],
    "D4": [an_output_as_a_tuple],
    "D7": [an_answer_as_a_tuple],
}


def raised(fault, bert):
    with pytest.raises(Exception) as caught:
        fault(bert)
    return f"{caught.type.__name__}: {caught.value}".strip()


def quoted(row):
    """The errors in the page's section on a row."""
    section = re.search(rf"^### {row}\b.*?(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert section, f"errata.md has no section on {row}"
    return [line for block in re.findall(r"```text\n(.*?)```", section[0], re.DOTALL) for line in block.splitlines()]


@pytest.mark.parametrize("row", FAULTS)
def test_the_errors_it_quotes_are_the_ones_that_are_raised(row, bert):
    messages = [raised(fault, bert) for fault in FAULTS[row]]
    lines = quoted(row)
    assert len(lines) == len(messages)
    for line, message in zip(lines, messages, strict=True):  # … stands for a path or for the rest
        assert re.match(".*".join(map(re.escape, line.split("…"))), message), f"{line!r} is quoted, {message!r} raised"


def test_no_other_errors_are_quoted():
    assert len(re.findall(r"```text\n", PAGE)) == len(FAULTS)


# ------------------------------------------------------------------------------------------------- what goes right


def labelled(count, seed):
    """Texts of which one word decides the label."""
    chance = np.random.default_rng(seed)
    labels = [i % 2 for i in range(count)]
    words = [["film", "the", "我"][chance.integers(3)] for _ in labels]
    return SimpleNamespace(
        texts=[f"{w} {'good' if y else 'bad'} {w}" for w, y in zip(words, labels, strict=True)], labels=labels
    )


def test_A1_A2_pretrained_features_tell_more_than_random_ones(pictures):
    scores = []
    for pretrained in (True, False):
        torch.manual_seed(0)
        backbone, weights = cu.vision_model("resnet18", pretrained=pretrained)
        train, test = (
            cu.embed(backbone, part.with_transform(weights.transforms())) for part in (pictures.train, pictures.test)
        )
        head = nn.Sequential(nn.BatchNorm1d(512, affine=False), nn.Linear(512, 3))
        cu.fit(head, train, epochs=20, lr=0.01, batch_size=12, progress=False)
        scores.append(cu.evaluate(head, test).accuracy)
    assert scores[0] >= scores[1] and scores[0] > 1 / 3


@pytest.mark.parametrize(
    ("kind", "config"), [(BertModel, BertConfig), (GPT2Model, GPT2Config), (RobertaModel, RobertaConfig)]
)
def test_A3_D1_the_networks_for_text_can_be_built_and_counted_without_a_download(kind, config):
    with torch.device("meta"):
        assert cu.count_parameters(kind(config())).total > 100e6


def test_A4_the_networks_for_pictures_can_be_built_and_counted_without_a_download():
    sizes = {}
    for name in ("resnet18", "vgg16", "mobilenet_v3_small", "vit_b_16"):
        with torch.device("meta"):
            sizes[name] = cu.count_parameters(models.get_model(name)).total
    assert min(sizes, key=sizes.get) == "mobilenet_v3_small" and max(sizes, key=sizes.get) == "vgg16"


def test_A5_torchvision_says_which_torch_it_needs():
    needed = [Requirement(r) for r in importlib.metadata.requires("torchvision")]
    (torch_needed,) = [r for r in needed if r.name == "torch"]
    assert torch_needed.specifier and torch_needed.specifier.contains(torch.__version__)


def test_A6_A7_an_untrained_head_prints_chance_and_a_trained_one_its_label(bert, tokenizer):
    batch = tokenizer("the good film", return_tensors="pt")
    answers = set()
    for seed in range(10):
        torch.manual_seed(seed)
        model = BertForSequenceClassification.from_pretrained(bert, num_labels=2).eval()
        answers.add(model(**batch).logits.argmax(dim=-1).item())
    assert answers == {0, 1}
    model, info = BertForSequenceClassification.from_pretrained(bert, num_labels=2, output_loading_info=True)
    assert set(info["missing_keys"]) == {"classifier.weight", "classifier.bias"}
    data = cu.embed(model, cu.tokenize(labelled(64, seed=0), tokenizer))
    probe = nn.Linear(16, 2)
    cu.fit(probe, data, epochs=30, lr=0.05, batch_size=16, progress=False)
    model.classifier.load_state_dict(probe.state_dict())
    assert model.cpu().eval()(**batch).logits.argmax(dim=-1).item() == 1


@pytest.mark.parametrize("mode", ["RGBA", "L", "P", "RGB"])
def test_A8_every_kind_of_picture_gets_a_name(mode):
    network, weights = cu.vision_model("resnet18")
    picture = weights.transforms()(cu.read_picture(Image.new(mode, (90, 70))))
    with torch.inference_mode():
        logits = network.eval()(picture[None])
    assert weights.meta["categories"][logits.argmax(dim=-1)] in weights.meta["categories"]


def test_A8_the_old_argument_warns():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        models.squeezenet1_1(pretrained=False)
    assert any("'pretrained' is deprecated since 0.13 and may be removed" in str(w.message) for w in caught)


def test_A9_the_loop_is_judged_on_texts_that_it_has_not_seen(bert, tokenizer):
    train, test = (cu.tokenize(labelled(count, seed), tokenizer) for count, seed in ((96, 1), (32, 2)))
    torch.manual_seed(0)
    model = BertForSequenceClassification.from_pretrained(bert, num_labels=2)
    three_steps = BertForSequenceClassification.from_pretrained(bert, num_labels=2)
    optimizer = torch.optim.Adam(three_steps.parameters(), lr=1e-5)
    batch = tokenizer(["good", "bad"], return_tensors="pt")
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = three_steps.eval()(**batch, labels=torch.tensor([1, 0])).loss  # no dropout: only the steps count
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert abs(losses[0] - losses[-1]) < 0.01, "three steps at 1e-5 move next to nothing"
    cu.fit(model, train, epochs=6, lr=5e-3, batch_size=16, progress=False)
    assert cu.evaluate(model, test).accuracy > 0.9


def test_B4_masked_tokens_and_sentence_pairs(bert, tokenizer):
    batch = tokenizer(["我在北京工作", "the film"], ["你在哪里?", "good"], padding=True, return_tensors="pt")
    hidden = batch["input_ids"].clone()
    hidden[:, 2] = tokenizer.mask_token_id
    labels = torch.where(hidden == tokenizer.mask_token_id, batch["input_ids"], -100)
    batch["input_ids"] = hidden
    outputs = BertForPreTraining.from_pretrained(bert)(**batch, labels=labels, next_sentence_label=torch.tensor([0, 1]))
    assert outputs.prediction_logits.shape[-1] == len(WORDS) and outputs.seq_relationship_logits.shape == (2, 2)
    assert abs(outputs.loss.item() - math.log(len(WORDS)) - math.log(2)) < 0.7


def test_B5_full_and_partial_fine_tuning(bert):
    model = BertForSequenceClassification.from_pretrained(bert, num_labels=2)
    everything = cu.count_parameters(model)
    model.bert.requires_grad_(False)
    head = cu.count_parameters(model)
    assert everything.trainable == everything.total == head.total and head.trainable == 2 * 16 + 2


def test_B6_B7_the_trainer_with_labels_an_evaluation_set_and_a_metric(bert, tokenizer):
    def compute_metrics(prediction):
        answers = prediction.predictions.argmax(axis=-1)
        return {
            "accuracy": accuracy_score(prediction.label_ids, answers),
            "macro_f1": f1_score(prediction.label_ids, answers, average="macro"),
        }

    train, validation = (cu.tokenize(labelled(count, seed), tokenizer) for count, seed in ((16, 1), (8, 2)))
    trainer = Trainer(
        model=BertForSequenceClassification.from_pretrained(bert, num_labels=2),
        args=quiet(bert, num_train_epochs=3, per_device_train_batch_size=16, logging_strategy="no"),
        train_dataset=train,
        eval_dataset=validation,
        processing_class=tokenizer,
        compute_metrics=compute_metrics,
    )
    assert trainer.train().global_step == 3
    assert {"eval_loss", "eval_accuracy", "eval_macro_f1"} <= set(trainer.evaluate())


def test_B8_C5_a_new_last_layer_starts_at_guessing_and_an_old_one_above_it():
    network, weights = cu.vision_model("resnet18")
    data = cu.load_cifar10(per_class=1, validation=3, test=1).validation.with_transform(weights.transforms())
    untouched = cu.evaluate(network, data).loss
    torch.manual_seed(0)
    cu.replace_head(network.cpu(), 10)  # `evaluate` took it to the best device
    images, labels = (torch.stack([data[i][0] for i in range(10)]), torch.tensor(data.labels[:10]))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    F.cross_entropy(network.train()(images), labels).backward()
    optimizer.step()
    assert cu.evaluate(cu.replace_head(network, 10), data).loss < untouched
    assert untouched > math.log(10)


def test_C2_the_objective_with_its_regulariser_is_what_weight_decay_minimises():
    """L(θ) = 1/N Σ ℓ(f(xᵢ; θ), yᵢ) + λR(θ), with R half of the squared length of θ."""
    torch.manual_seed(0)
    x, y, decay = torch.randn(8, 3), torch.arange(8) % 2, 0.1
    written_out, built_in = nn.Linear(3, 2), nn.Linear(3, 2)
    built_in.load_state_dict(written_out.state_dict())
    empirical_risk = F.cross_entropy(written_out(x), y)
    regulariser = sum(p.square().sum() for p in written_out.parameters()) / 2
    (empirical_risk + decay * regulariser).backward()
    torch.optim.SGD(written_out.parameters(), lr=0.5).step()
    F.cross_entropy(built_in(x), y).backward()
    torch.optim.SGD(built_in.parameters(), lr=0.5, weight_decay=decay).step()
    for one, other in zip(written_out.parameters(), built_in.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def losses_of(model, x, y, lr, steps=15):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize(("side", "pixels"), [(6, 24), (8, 32)])
def test_C3_the_convolutions_learn_once_the_sizes_fit(side, pixels):
    torch.manual_seed(0)
    losses = losses_of(Convolutions(side), torch.rand(10, 3, pixels, pixels), torch.arange(10), lr=0.1)
    assert losses[-1] < losses[0]


def test_C4_the_lstm_learns_from_its_last_output():
    torch.manual_seed(0)
    words, labels = torch.randint(10, (16, 7)), torch.arange(16) % 2
    words[:, -1] = labels  # the last word decides
    network = WordByWord()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(30):
        loss = F.cross_entropy(network(words)[:, -1], labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3


def test_C6_bert_without_a_head_gets_one(bert, tokenizer):
    batch = tokenizer(["good film", "bad"], padding=True, return_tensors="pt")
    outputs = BertModel.from_pretrained(bert)(**batch)
    head = nn.Linear(16, 2)
    loss = F.cross_entropy(head(outputs.pooler_output), torch.tensor([1, 0]))
    assert 0.3 < loss.item() < 1.4, "of the size of ln 2"
    wrong = F.cross_entropy(outputs.pooler_output, torch.tensor([1, 0]))
    assert wrong.item() > 2, "features taken for logits: the logarithm of their number"


def test_D2_D3_every_part_loads_from_the_courses_own_hubconf(bert):
    assert hub("tokenizer", bert).tokenize("我喜欢") == ["我", "喜", "欢"]
    kinds = {
        "model": "BertModel",
        "modelWithLMHead": "BertForMaskedLM",
        "modelForSequenceClassification": "BertForSequenceClassification",
        "modelForQuestionAnswering": "BertForQuestionAnswering",
    }
    assert {part: type(hub(part, bert)).__name__ for part in kinds} == kinds


def test_D4_D5_D6_outputs_are_asked_for_by_name(bert, tokenizer):
    batch = tokenizer("我喜欢户外旅游", return_tensors="pt")
    assert hub("model", bert)(**batch).last_hidden_state.shape == (1, 9, 16)
    assert hub("model", bert)(**batch, return_dict=False)[0].shape == (1, 9, 16)
    assert hub("modelForMaskedLM", bert)(**batch).logits.shape == (1, 9, len(WORDS))
    assert hub("modelForSequenceClassification", bert)(**batch).logits.shape == (1, 2)


def test_D7_the_question_comes_first_and_its_head_is_untrained(bert, tokenizer):
    batch = tokenizer("你在哪里工作?", "我在北京工作", return_tensors="pt")
    outputs = hub("modelForQuestionAnswering", bert)(**batch)
    assert outputs.start_logits.shape == outputs.end_logits.shape == (1, 16)
    assert batch["token_type_ids"].tolist() == [[0] * 9 + [1] * 7]
    torch.manual_seed(0)
    firsts = {hub("modelForQuestionAnswering", bert).eval()(**batch).start_logits.argmax().item() for _ in range(10)}
    assert len(firsts) > 1, "another draw of the head, another answer"


def test_D8_eval_does_not_freeze_and_freeze_does(pictures):
    network, weights = cu.vision_model("resnet18")
    train = pictures.train.with_transform(weights.transforms())
    images, labels = torch.stack([train[i][0] for i in range(4)]), torch.tensor(train.labels[:4])

    def moved(network):
        before = network.conv1.weight.detach().clone(), network.bn1.running_mean.clone()
        F.cross_entropy(network(images), labels).backward()
        torch.optim.SGD(network.parameters(), lr=0.01).step()
        return not torch.equal(before[0], network.conv1.weight), not torch.equal(before[1], network.bn1.running_mean)

    assert moved(network.eval()) == (True, False)
    frozen = cu.replace_head(cu.freeze(cu.vision_model("resnet18")[0]), 3)
    assert moved(frozen.train()) == (False, False)
    features = cu.embed(frozen, train)
    layers = nn.Sequential(nn.Linear(512, 16), nn.ReLU(), nn.Linear(16, 3))
    cu.fit(layers, features, epochs=1, lr=0.01, batch_size=12, progress=False)
    cu.unfreeze(frozen.layer4)
    assert cu.count_parameters(frozen).trainable > 1e6


# ------------------------------------------------------------------------------------------------- the page itself

NO_CODE = {"A1", "A2", "B1", "B2", "B3", "B9", "B10", "C1", "C7"}  # definitions, advantages, claims and questions
LATER = {"B9": "chapter 11", "B10": "chapter 11", "C7": "chapter 12"}


def table():
    """Row → the last column of its line in the coverage tables."""
    found = {}
    for first, last, cells in re.findall(r"^\| ([A-D]\d+)(?:–([A-D]\d+))? \|(.*)\|$", PAGE, re.MULTILINE):
        for i in range(int(first[1:]), int((last or first)[1:]) + 1):
            assert f"{first[0]}{i}" not in found, f"{first[0]}{i} is there twice"
            found[f"{first[0]}{i}"] = cells.split(" | ")[-1]
    return found


def test_all_rows_of_the_documents_are_there_with_a_link_each():
    rows = table()
    assert sorted(rows) == sorted(ROWS)
    for row, where in rows.items():
        assert re.search(r"\]\([\w.]+\.(ipynb|md)[#)]", where), f"{row} has no link"
        assert LATER.get(row, "") in where, f"{row}: say what {LATER[row]} will add"


def test_each_row_with_code_has_its_corrected_idea_tested():
    names = " ".join(name for name in globals() if re.match(r"test_[A-D]\d", name))
    tested = set(re.findall(r"[A-D]\d+", names))
    assert set(ROWS) - NO_CODE <= tested
