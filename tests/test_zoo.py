"""What trains in a plain PyTorch loop trains in `fit`, to the same losses: networks and data of many makers."""

import copy
from types import SimpleNamespace

import pytest
import torch
from test_training import points, tiny_bert, weights_of
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset, Subset, TensorDataset
from transformers import BertConfig, BertForSequenceClassification, GPT2Config, GPT2ForSequenceClassification

from course_utils.inference import embed, evaluate, predict
from course_utils.options import Recipe
from course_utils.training import fit
from course_utils.transfer import find_head, replace_head

PLAIN = {"recipe": Recipe(warmup=0, decay=False, max_grad_norm=float("inf")), "precision": "fp32", "progress": False}


def plain_loop(model, data, loss, epochs=2):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    model.train()
    for _ in range(epochs):
        for *inputs, labels in DataLoader(data, 8):
            outputs = model(*inputs)
            value = loss(getattr(outputs, "logits", outputs), labels)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            losses.append(value.item())
    return losses


class SetsInForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x):
        if not hasattr(self, "calls"):
            self.calls = 0
        self.calls += 1
        self.hidden = self.layer(x)
        return self.hidden


class Counting(nn.Module):
    """Its `classes` is a number, its weights lie in lists, dicts and bare parameters, and one is never used."""

    def __init__(self):
        super().__init__()
        self.classes, self.config = 2, {"vocab_size": 1, "max_position_embeddings": 1}
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
        self.heads = nn.ModuleDict({"main": nn.Linear(4, self.classes)})
        self.scale = nn.Parameter(torch.ones(4))
        self.unused = nn.Parameter(torch.ones(3))
        self.register_buffer("mask", torch.ones(4), persistent=False)

    def forward(self, x, *, verbose=False):
        for layer in self.layers:
            x = x + torch.tanh(layer(x)) * self.scale * self.mask
        return self.heads["main"](x)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.last = nn.utils.parametrizations.weight_norm(nn.Linear(4, 2))

    def forward(self, *inputs):
        return SimpleNamespace(logits=self.last(self.second(F.relu(self.first(inputs[0])))))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.rnn, self.out = nn.Embedding(40, 8), nn.LSTM(8, 8, batch_first=True), nn.Linear(8, 2)

    def forward(self, tokens):
        return self.out(self.rnn(self.embed(tokens))[0][:, -1])


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(4, 2), nn.Linear(4, 2)

    def forward(self, picture, features):
        return self.left(picture) - self.right(features)


class SmallGPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(40, 8), nn.Embedding(16, 8)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0, batch_first=True, norm_first=True)
        self.ln_f, self.lm_head = nn.LayerNorm(8), nn.Linear(8, 40, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, idx):
        length = idx.shape[1]
        x = self.wte(idx) + self.wpe(torch.arange(length, device=idx.device))
        causal = nn.Transformer.generate_square_subsequent_mask(length, device=idx.device)
        return self.lm_head(self.ln_f(self.block(x, src_mask=causal)))


def cnn():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )


def tokens(size=32, length=6):
    ids = torch.randint(2, 40, (size, length), generator=torch.Generator().manual_seed(0))
    return TensorDataset(ids, (ids[:, 0] > 20).long())


def masked_tokens():
    ids, labels = tokens().tensors
    mask = torch.ones_like(ids)
    mask[::2, 3:] = 0
    return TensorDataset(ids, mask, labels)


def next_tokens():
    (ids, _) = tokens().tensors
    return TensorDataset(ids[:, :-1], ids[:, 1:])


def pictures(size=32):
    x = torch.randn(size, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return TensorDataset(x, (x.mean((1, 2, 3)) > 0).long())


def pairs():
    x, y = points(32).tensors
    return TensorDataset(x, x.flip(1).contiguous(), y)


def as_labels(make):
    x, y = points(32).tensors
    return TensorDataset(x, make(y))


def in_double_precision():
    x, y = points(32).tensors
    return TensorDataset(x.double(), y)


def mlp(outputs=2):
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, outputs))


def no_dropout():
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
            hidden_dropout_prob=0, attention_probs_dropout_prob=0,
        )
    )  # fmt: skip


def per_token(logits, labels):
    return F.cross_entropy(logits.flatten(0, -2), labels.flatten())


def negative_likelihood(logits, labels):
    return F.nll_loss(logits.log_softmax(-1), labels)


binary = F.binary_cross_entropy_with_logits
ZOO = {
    "an MLP": (mlp, points(32), None),
    "a CNN": (cnn, pictures(), None),
    "attributes first set in forward": (SetsInForward, points(32), None),
    "lists, dicts and bare parameters": (Counting, points(32), None),
    "tied and normed weights": (Tied, points(32), None),
    "an LSTM": (Recurrent, tokens(), None),
    "two inputs": (TwoInputs, pairs(), None),
    "ids, mask, labels": (no_dropout, masked_tokens(), None),
    "a small GPT": (SmallGPT, next_tokens(), per_token),
    "a scripted network": (lambda: torch.jit.trace(nn.Linear(4, 2), torch.zeros(2, 4)), points(32), None),
    "log-likelihood": (mlp, points(32), negative_likelihood),
    "one logit": (lambda: nn.Sequential(mlp(1), nn.Flatten(0)), as_labels(torch.Tensor.float), binary),
    "one logit in a column": (lambda: mlp(1), as_labels(lambda y: y[:, None].float()), binary),
    "several labels": (lambda: mlp(3), as_labels(lambda y: torch.stack([y, 1 - y, y], 1).float()), binary),
    "one-hot": (mlp, as_labels(lambda y: F.one_hot(y, 2).float()), nn.CrossEntropyLoss()),
    "regression": (lambda: mlp(1), as_labels(lambda y: y[:, None] * 0.3), nn.MSELoss()),
    "double precision": (lambda: mlp().double(), in_double_precision(), None),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.*is deprecated", "ignore:.*nested_tensor.*")
@pytest.mark.parametrize("name", ZOO)
def test_what_trains_in_a_plain_loop_trains_in_fit_to_the_same_losses(name):
    make, data, loss = ZOO[name]
    torch.manual_seed(0)
    by_hand = make()
    by_fit = make()
    by_fit.load_state_dict(by_hand.state_dict())
    losses = plain_loop(by_hand, data, loss or F.cross_entropy)
    groups = [{"params": list(by_fit.parameters()), "lr": 1e-2}]
    history = fit(by_fit, DataLoader(data, 8), epochs=2, groups=groups, loss=loss, **PLAIN)
    assert history.losses == pytest.approx(losses, rel=1e-4)
    alone = predict(by_fit, Subset(data, range(4)), precision="fp32")
    torch.testing.assert_close(predict(by_fit, data, precision="fp32")[:4], alone, rtol=1e-4, atol=1e-5)
    fit(make(), data, epochs=1, loss=loss, batch_size=8, progress=False)  # in batches of fit's own


def test_attributes_first_set_in_forward_stay():
    model = SetsInForward()
    fit(model, points(32), epochs=2, batch_size=8, **PLAIN)
    assert model.calls == 8 and model.hidden.shape == (8, 2)


@pytest.mark.parametrize("size", [17, 9, 33])
@pytest.mark.parametrize("make", [mlp, cnn])
def test_one_last_example_trains_with_batch_norm(make, size):
    data = (
        points(size) if make is mlp else TensorDataset(pictures(size).tensors[0][:, :, :3, :3], points(size).tensors[1])
    )
    history = fit(make(), data, epochs=2, batch_size=8, progress=False)
    assert len(history.losses) == 2 * (size // 8)
    fit(nn.Linear(4, 2), points(size), epochs=1, batch_size=8, progress=False)


def test_an_iterable_data_set_is_refused_in_a_sentence():
    class Stream(IterableDataset):
        def __iter__(self):
            yield from points(16)

    for data in (Stream(), DataLoader(Stream(), 8)):
        with pytest.raises(TypeError, match=r"which an IterableDataset cannot do: .* list\(data\) is one"):
            fit(nn.Linear(4, 2), data)
    fit(nn.Linear(4, 2), list(Stream()), epochs=1, progress=False)
    assert predict(nn.Linear(4, 2), DataLoader(Stream(), 8)).shape == (16, 2)


def rows(name="label", mask=True):
    made = [{"input_ids": [1, *([7] * (i % 2)), *range(8, 10 + i % 5)], name: i % 2} for i in range(16)]
    return [row | ({"attention_mask": [1] * len(row["input_ids"])} if mask else {}) for row in made]


@pytest.mark.parametrize("name", ["label", "label_ids", "labels"])
def test_the_column_of_labels_has_any_usual_name(name):
    a, b = no_dropout(), no_dropout()
    b.load_state_dict(a.state_dict())
    assert fit(a, rows("labels"), epochs=1, **PLAIN).losses == fit(b, rows(name), epochs=1, **PLAIN).losses
    assert evaluate(a, rows("labels")) == evaluate(b, rows(name))


def without_labels(data):
    return [{k: v for k, v in row.items() if k != "labels"} for row in data]


def test_predict_needs_no_labels():
    model, data = no_dropout(), rows("labels")
    expected = predict(model, data)
    assert torch.equal(predict(model, without_labels(data)), expected)
    assert torch.equal(predict(model, [row | {"labels": None} for row in data]), expected)
    x, y = points(8).tensors
    network = nn.Linear(4, 2)
    expected = predict(network, TensorDataset(x, y))
    for unlabelled in (
        TensorDataset(x),
        list(x),
        DataLoader(x, 4),
        DataLoader(TensorDataset(x), 4),
        [(one, None) for one in x],
    ):
        assert torch.equal(predict(network, unlabelled), expected)


@pytest.mark.parametrize("use", [lambda *args: fit(*args, epochs=1, progress=False), evaluate])
def test_missing_labels_are_named_where_they_are_needed(use):
    with pytest.raises(ValueError, match="Example [0-9]+ has no label"):
        use(no_dropout(), without_labels(rows("labels")))
    with pytest.raises(ValueError, match="Example [0-9]+ has no label"):
        use(nn.Linear(4, 2), TensorDataset(points(8).tensors[0]))


def test_inputs_in_another_order_than_the_models_are_refused():
    ids, mask, labels = masked_tokens().tensors
    with pytest.raises(
        ValueError, match="2 inputs beside its label, which are not the model's input_ids, attention_mask"
    ):
        fit(no_dropout(), TensorDataset(ids, torch.zeros_like(mask), labels), progress=False)
    with pytest.raises(ValueError, match="2 inputs beside its label, which are not the model's input"):
        fit(nn.Linear(4, 2), pairs(), progress=False)


# ------------------------------------------------------------------------------------------- heads


class TimmLike(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.num_classes = nn.Linear(4, 8), 5
        self.head = nn.Sequential()
        self.head.add_module("norm", nn.LayerNorm(8))
        self.head.add_module("fc", nn.Linear(8, 5))

    def get_classifier(self):
        return self.head.fc

    def forward(self, x):
        return self.head(self.stem(x))


class OwnName(nn.Module):
    """timm's models say themselves which layer is their head, whatever its name."""

    def __init__(self):
        super().__init__()
        self.stem, self.last_linear, self.num_classes = nn.Linear(4, 8), nn.Linear(8, 5), 5

    def get_classifier(self):
        return self.last_linear

    def forward(self, x):
        return self.last_linear(self.stem(x))


@pytest.mark.parametrize(
    ("make", "head"),
    [(TimmLike, "head.fc"), (OwnName, "last_linear"), (lambda: mlp(5), "3"), (cnn, "5")],
)
def test_heads_are_found_where_networks_of_other_packages_keep_them(make, head):
    model = make()
    assert find_head(model) == head
    replace_head(model, 3)
    assert model.get_submodule(head).out_features == 3 and getattr(model, "num_classes", 3) == 3


def test_gpt_like_classifiers_train_and_their_head_is_replaced():
    config = GPT2Config(
        vocab_size=40, n_embd=8, n_layer=1, n_head=1, n_positions=16, pad_token_id=0, bos_token_id=1, eos_token_id=1
    )
    model = replace_head(GPT2ForSequenceClassification(config), 3)
    assert find_head(model) == "score" and model.score.bias is None
    fit(model, rows("labels"), epochs=1, progress=False)
    assert predict(model, rows("labels")).shape == (16, 3) and embed(model, rows("labels")).tensors[1].shape == (16,)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_bf16_checkpoints_keep_their_type_when_their_head_is_replaced(precision):
    model = replace_head(no_dropout().to(torch.bfloat16), 3)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    history = fit(model, rows("labels"), epochs=2, lr=1e-2, precision=precision, progress=False)
    assert history["loss"][1] < history["loss"][0]


# ------------------------------------------------------------------------------------------- one example alone


def left_out(data, *names):
    return [{k: v for k, v in row.items() if k not in names} for row in data]


FORMS = {
    "dicts with a mask": rows("labels"),
    "dicts without a mask": rows("labels", mask=False),
    "dicts with segments": [row | {"token_type_ids": [0] * len(row["input_ids"])} for row in rows("labels")],
    "tensors": [{k: torch.as_tensor(v) for k, v in row.items()} for row in rows("labels")],
}


class Reads(nn.Module):
    """A network of a learner's own, that takes padding for text."""

    def __init__(self):
        super().__init__()
        self.network = Recurrent()

    def forward(self, input_ids):
        return self.network(input_ids)


def of_transformers(kind, classifier, **options):
    import transformers

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = getattr(transformers, f"{kind}Config")(**sizes | {"vocab_size": 40} | options)
    return getattr(transformers, f"{kind}For{classifier}")(config)


NETWORKS = {
    "BERT": lambda: tiny_bert(),
    "RoBERTa": lambda: of_transformers("Roberta", "SequenceClassification", max_position_embeddings=18),
    "XLNet": lambda: of_transformers("XLNet", "SequenceClassification", d_model=16, n_layer=1, n_head=2, d_inner=16),
    "GPT-2": lambda: of_transformers("GPT2", "SequenceClassification", pad_token_id=0),
    "DeBERTa": lambda: of_transformers("DebertaV2", "SequenceClassification"),
    "one of one's own": Reads,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("form", FORMS)
def test_what_a_model_says_of_a_text_depends_on_that_text_alone(name, form):
    if name == "one of one's own" and form != "dicts without a mask":
        data = left_out(FORMS[form], "attention_mask", "token_type_ids")
    elif name in ("GPT-2", "RoBERTa", "XLNet"):
        data = left_out(FORMS[form], "token_type_ids")
    else:
        data = FORMS[form]
    torch.manual_seed(0)
    model = NETWORKS[name]()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)  # so that a difference shows
    alone = torch.cat([predict(model, [row], precision="fp32") for row in data])
    assert alone.std(dim=0).min() > 1e-3
    for size in (2, 5, 16):
        torch.testing.assert_close(predict(model, data, batch_size=size, precision="fp32"), alone, rtol=1e-4, atol=1e-5)
    order = torch.randperm(len(data)).tolist()
    shuffled = predict(model, [data[i] for i in order], precision="fp32")
    torch.testing.assert_close(shuffled, alone[order], rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_canine_reads_characters():
    torch.manual_seed(0)
    model = of_transformers("Canine", "SequenceClassification", max_position_embeddings=64, vocab_size=None)
    texts = [[57344, *map(ord, text), 57345] for text in ("good", "good grief", "a word and another one")]
    data = [{"input_ids": ids, "attention_mask": [1] * len(ids), "labels": 0} for ids in texts]
    alone = torch.cat([predict(model, [row], precision="fp32") for row in data])
    torch.testing.assert_close(predict(model, data, precision="fp32"), alone, rtol=1e-4, atol=1e-5)
    fit(model, data, epochs=1, progress=False)


@pytest.mark.parametrize(
    "form", [list, lambda d: TensorDataset(*d.tensors), lambda d: [(x.numpy(), int(y)) for x, y in d]]
)
def test_what_a_model_says_of_a_picture_depends_on_that_picture_alone(form):
    torch.manual_seed(0)
    model, data = cnn(), pictures()
    fit(model, data, epochs=2, progress=False)
    alone = torch.cat([predict(model, form(TensorDataset(*data[i : i + 1])), precision="fp32") for i in range(32)])
    before = weights_of(model)
    for size in (1, 7, 32):
        torch.testing.assert_close(predict(model, form(data), batch_size=size, precision="fp32"), alone)
    one = torch.cat([model(x[None].to(next(model.parameters()).device)) for x, _ in data]).cpu()
    torch.testing.assert_close(one, alone)  # as the model comes out of fit
    assert all(torch.equal(before[name], value) for name, value in weights_of(model).items())


@pytest.mark.parametrize(("kind", "longest"), [("Roberta", 18 - 2), ("Bert", 18), ("XLNet", 100)])
def test_texts_are_as_long_as_the_models_positions(kind, longest):
    own = (
        {"d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 16}
        if kind == "XLNet"
        else {"max_position_embeddings": 18}
    )
    model = of_transformers(kind, "SequenceClassification", **own)
    assert predict(model, [{"input_ids": [7] * longest}]).shape == (1, 2)
    if kind != "XLNet":
        with pytest.raises(ValueError, match=f"has {longest + 1} tokens, and the model reads {longest} at most"):
            predict(model, [{"input_ids": [7] * (longest + 1)}])


def test_pictures_of_different_sizes_are_named():
    data = [(torch.zeros(3, 8, 8), 0), (torch.zeros(3, 8, 9), 1)]
    with pytest.raises(ValueError, match=r"different shapes, \(3, 8, 8\) and \(3, 8, 9\)"):
        fit(cnn(), data, progress=False)


# ------------------------------------------------------------------------------------------- labels


INTEGERS = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.bool]


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("column", [False, True])
def test_labels_of_every_integer_type_are_the_same_labels(dtype, column):
    x, y = points(32).tensors
    a, b = mlp(), mlp()
    b.load_state_dict(a.state_dict())
    other = TensorDataset(x, (y[:, None] if column else y).to(dtype))
    expected = fit(a, TensorDataset(x, y), TensorDataset(x, y), epochs=2, **PLAIN)
    got = fit(b, other, other, epochs=2, **PLAIN)
    assert got.losses == expected.losses and got["validation_accuracy"] == expected["validation_accuracy"]
    assert evaluate(b, other) == evaluate(a, TensorDataset(x, y))
    assert evaluate(b, DataLoader(other, 8)).accuracy == evaluate(a, TensorDataset(x, y)).accuracy


def test_numpy_labels_are_labels():
    x, y = points(32).tensors
    data = [(one, label) for one, label in zip(x, y.numpy().astype("uint32"), strict=True)]
    assert evaluate(mlp(), data).accuracy <= 1
    fit(mlp(), data, epochs=1, progress=False)


WRONG = {
    "a fraction": 0.5,
    "a float": 1.0,
    "NaN": float("nan"),
    "None": None,
    "text": "cat",
    "a list of fractions": [0.2, 0.8],
    "a float tensor": torch.tensor(0.5),
}


@pytest.mark.parametrize("use", [lambda *args: fit(*args, epochs=1, progress=False), evaluate])
@pytest.mark.parametrize("what", WRONG)
def test_labels_that_are_no_class_are_named_with_their_row(use, what):
    data = [(x, int(y)) for x, y in points(16)]
    data[5] = (data[5][0], WRONG[what])
    model = nn.Linear(4, 2)
    before = weights_of(model)
    with pytest.raises(ValueError, match="^(Example 5 has|The labels are fractions).*number the classes 0, 1, 2"):
        use(model, data)
    assert all(torch.equal(before[name], value) for name, value in weights_of(model).items())


def test_a_nan_is_named_before_a_loss_of_ones_own_meets_it():
    x, y = points(16).tensors
    labels = y.float()
    labels[3] = float("nan")
    with pytest.raises(ValueError, match="Example 3 has the label .nan"):
        fit(mlp(1), TensorDataset(x, labels[:, None]), loss=binary, progress=False)


def test_several_labels_at_once_need_their_loss():
    several = TensorDataset(points(16).tensors[0], torch.ones(16, 2))
    for data in (several, DataLoader(several, 8)):
        with pytest.raises(
            ValueError, match=r"labels say of each class .*binary_cross_entropy_with_logits.*argmax\(-1\)"
        ):
            fit(mlp(), data, progress=False)


def test_several_labels_at_once_are_judged_label_by_label():
    x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    y = torch.stack([x[:, 0] > 0, x[:, 1] > 0, x[:, 0] + x[:, 1] > 0], 1)
    model = nn.Linear(4, 3)
    data = TensorDataset(x, y.float())
    history = fit(model, data, data, epochs=20, lr=0.1, batch_size=16, loss=binary, progress=False, precision="fp32")
    for form in (data, TensorDataset(x, y), TensorDataset(x, y.to(torch.uint8))):
        metrics = evaluate(model, form, precision="fp32")
        logits = predict(model, form, precision="fp32")
        assert metrics.accuracy == ((logits > 0) == y).all(1).float().mean().item() > 0.8
        assert metrics.loss == pytest.approx(binary(logits, y.float()).item(), rel=1e-5)
        assert [sum(map(sum, table)) for table in metrics.confusion] == [64, 64, 64]
        assert history["validation_accuracy"][history.best_epoch - 1] == metrics.accuracy and metrics.f1 > 0.8


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_one_logit_is_judged_as_yes_or_no(shape):
    model = nn.Sequential(nn.Linear(4, 1), *([nn.Flatten(0)] if len(shape) == 1 else []))
    x, y = points(64).tensors
    data = TensorDataset(x, y.float().reshape(shape))
    fit(model, data, data, epochs=20, lr=0.1, loss=binary, progress=False, precision="fp32")
    metrics, logits = evaluate(model, data, precision="fp32"), predict(model, data, precision="fp32").flatten()
    assert metrics.accuracy == ((logits > 0) == y).float().mean().item() > 0.8
    assert metrics.loss == pytest.approx(binary(logits, y.float()).item(), rel=1e-5)
    assert len(metrics.confusion) == 2 and sum(map(sum, metrics.confusion)) == 64


def test_labels_of_each_token_are_judged_token_by_token():
    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Embedding(40, 8), nn.Linear(8, 2)

        def forward(self, input_ids, attention_mask):
            return self.head(self.embed(input_ids))

    data = [{"input_ids": row["input_ids"], "labels": [int(i % 2) for i in row["input_ids"]]} for row in rows()]
    model = Tagger()
    fit(model, data, data, epochs=40, lr=0.1, batch_size=4, progress=False)
    metrics = evaluate(model, data, batch_size=3)
    assert metrics.accuracy > 0.9 and sum(map(sum, metrics.confusion)) == sum(len(row["labels"]) for row in data)


def named(data, classes):
    data = copy.copy(data)
    data.classes = classes
    return data


def test_a_label_names_the_same_class_in_every_split():
    train, other = named(points(), ["cat", "dog"]), named(points(16), ["dog", "cat"])
    model = nn.Linear(4, 2)
    with pytest.raises(ValueError, match="Label 0 is 'cat' in the training data and 'dog' in the validation data"):
        fit(model, train, other, progress=False)
    with pytest.raises(ValueError, match="Label 0 is 'cat'"):
        fit(model, Subset(train, range(8)), DataLoader(Subset(other, range(8)), 4), progress=False)
    fit(model, train, named(points(16), ["cat", "dog"]), epochs=1, progress=False)
    with pytest.raises(ValueError, match="Label 0 is 'cat' in the training data and 'dog' in the test data"):
        evaluate(model, other)
    assert evaluate(model, train) and evaluate(model, points())
