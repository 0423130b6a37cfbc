"""Heads, freezing, learning rates per layer and cached features, on torchvision's and transformers' models."""

import copy

import pytest
import torch
import torchvision.models as models
from test_training import changed, weights_of
from torch import nn
from torch.utils.data import TensorDataset
from transformers import BertConfig, BertForSequenceClassification, BertModel

from course_utils.inference import embed, evaluate, predict
from course_utils.training import fit
from course_utils.transfer import count_parameters, find_head, freeze, parameter_groups, replace_head, unfreeze

TINY = BertConfig(vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
VISION = {
    "resnet18": "fc",
    "resnet50": "fc",
    "vgg16": "classifier.6",
    "inception_v3": "fc",
    "mobilenet_v3_small": "classifier.3",
    "mobilenet_v3_large": "classifier.3",
    "vit_b_16": "heads.head",
}


@pytest.mark.parametrize(("name", "head"), VISION.items())
def test_torchvisions_heads_are_found_and_replaced(name, head):
    with torch.device("meta"):
        model = getattr(models, name)(weights=None)
        assert find_head(model) == head
        replace_head(model, 5).eval()
        side = 299 if name == "inception_v3" else 224
        assert model(torch.empty(2, 3, side, side)).shape == (2, 5)
    if name == "inception_v3":
        assert model.AuxLogits.fc.out_features == 5


def test_berts_head_is_found_and_replaced():
    model = replace_head(BertForSequenceClassification(TINY), 7)
    assert find_head(model) == "classifier" and model.config.num_labels == 7
    assert model(torch.tensor([[1, 2, 3]])).logits.shape == (1, 7)


def test_a_new_head_forgets_the_names_of_the_old_ones_classes():
    """The number of classes may be the same: "positive" would then be said of the second breed of dog."""
    old = BertConfig(**TINY.to_dict() | {"id2label": {0: "negative", 1: "positive"}, "label2id": {"negative": 0}})
    model = replace_head(BertForSequenceClassification(old), 2)
    assert model.config.id2label == {0: "LABEL_0", 1: "LABEL_1"}
    assert model.config.label2id == {"LABEL_0": 0, "LABEL_1": 1} and model.num_labels == 2
    assert replace_head(model, 3).config.num_labels == model.num_labels == 3


def test_a_new_head_has_a_bias_if_the_old_one_had():
    for bias in (True, False):
        model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2, bias=bias))
        assert (replace_head(model, 5)[-1].bias is not None) == bias


def test_an_unfrozen_batch_norm_is_in_the_mode_of_its_module():
    norm = nn.Sequential(nn.BatchNorm1d(3))
    freeze(norm.train())(torch.randn(4, 3))
    assert not norm[0].training
    assert unfreeze(norm)[0].training
    freeze(norm.eval())
    assert not unfreeze(norm)[0].training


def test_a_model_without_a_head_is_named():
    with pytest.raises(ValueError, match="BertModel has no classification head.*BertForSequenceClassification"):
        replace_head(BertModel(TINY), 2)
    with pytest.raises(ValueError, match="num_labels=0"):
        replace_head(BertForSequenceClassification(TINY), 0)


def test_parameters_are_counted_on_the_meta_device():
    with torch.device("meta"):
        resnet = models.resnet18()
        freeze(resnet)
        replace_head(resnet, 10)
    assert count_parameters(resnet) == (11_181_642, 5_130)


def pictures(size=16):
    generator = torch.Generator().manual_seed(0)
    return TensorDataset(torch.randn(size, 3, 32, 32, generator=generator), torch.arange(size) % 2)


@pytest.mark.parametrize("copied", [False, True])
def test_frozen_layers_and_their_batch_norm_stay_and_the_head_learns(copied):
    torch.manual_seed(0)
    model = models.resnet18(num_classes=2)
    for name, child in model.named_children():
        if name != "fc":
            freeze(child)
    if copied:
        model = copy.deepcopy(model)
    before = weights_of(model)
    fit(model, pictures(), epochs=1, lr=1e-2, batch_size=8, progress=False)
    assert changed(model, before) == {"fc.weight", "fc.bias"}


def test_unfreezing_lets_weights_and_statistics_move_again():
    torch.manual_seed(0)
    model = models.resnet18(num_classes=2)
    freeze(freeze(model))
    unfreeze(model)
    before = weights_of(model)
    fit(model, pictures(), epochs=1, lr=1e-3, batch_size=8, progress=False)
    assert changed(model, before) == set(before)


def test_eval_alone_does_not_freeze():
    """What the docstring of `freeze` claims, and one of the documents has wrong."""
    model = models.resnet18(num_classes=2).eval()
    before = model.conv1.weight.clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.randn(2, 3, 32, 32)).sum().backward()
    optimizer.step()
    assert not torch.equal(model.conv1.weight, before)


def test_learning_rates_fall_from_the_head_to_the_embeddings():
    model = BertForSequenceClassification(TINY)
    groups = parameter_groups(model, 1e-3, layer_decay=0.5, head_lr=1e-2)
    rate = {id(p): group["lr"] for group in groups for p in group["params"]}
    rates = {name: rate[id(p)] for name, p in model.named_parameters()}
    assert rates["classifier.weight"] == 1e-2
    assert rates["bert.pooler.dense.weight"] == pytest.approx(1e-3)
    assert rates["bert.encoder.layer.1.output.dense.weight"] == pytest.approx(5e-4)
    assert rates["bert.encoder.layer.0.output.dense.weight"] == pytest.approx(2.5e-4)
    assert (
        rates["bert.embeddings.word_embeddings.weight"]
        == rates["bert.embeddings.LayerNorm.bias"]
        == pytest.approx(1.25e-4)
    )
    decayed = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
    assert all((id(p) in decayed) == (p.ndim > 1) for p in model.parameters())


@pytest.mark.parametrize("name", VISION)
def test_every_parameter_of_torchvisions_models_is_in_one_group(name):
    with torch.device("meta"):
        model = getattr(models, name)(weights=None)
    groups = parameter_groups(model, 1e-3, layer_decay=0.9)
    assert sum(p.numel() for group in groups for p in group["params"]) == count_parameters(model).total
    head = model.get_submodule(find_head(model))
    assert {group["lr"] for group in groups if any(p is head.weight for p in group["params"])} == {1e-3}
    rates = sorted({group["lr"] for group in groups})
    assert 1e-3 * 0.9**20 < rates[0] < 1e-3 * 0.9**5, "between five and twenty layers"
    assert rates[-1] == 1e-3 and len(rates) > 5
    freeze(model)
    with pytest.raises(ValueError, match="Every parameter is frozen"):
        parameter_groups(model, 1e-3)
    with pytest.raises(ValueError, match="layer_decay=2"):
        parameter_groups(model, 1e-3, layer_decay=2)


def test_a_head_trained_on_cached_features_is_the_head_trained_on_the_frozen_backbone():
    torch.manual_seed(0)
    model = models.resnet18(num_classes=2)
    freeze(model)
    unfreeze(model.fc)
    head, before = copy.deepcopy(model.fc), weights_of(model)
    features = embed(model, pictures(), precision="fp32")
    assert features.tensors[0].shape == (16, 512) and features.tensors[1].tolist() == [0, 1] * 8
    options = {"epochs": 2, "lr": 1e-2, "batch_size": 8, "progress": False, "precision": "fp32"}
    fit(model, pictures(), **options)
    fit(head, features, **options)
    torch.testing.assert_close(head.weight, model.fc.weight, rtol=1e-3, atol=1e-4)
    of_head, of_model = evaluate(head, features, precision="fp32"), evaluate(model, pictures(), precision="fp32")
    assert of_head.accuracy == of_model.accuracy
    assert changed(model, before) == {"fc.weight", "fc.bias"}


def test_berts_features_are_what_its_head_sees():
    torch.manual_seed(0)
    model = BertForSequenceClassification(BertConfig(**TINY.to_dict() | {"initializer_range": 1.0}))
    data = [{"input_ids": [1, *range(2, 2 + n)], "attention_mask": [1] * (n + 1), "labels": n % 2} for n in (5, 3, 9)]
    features = embed(model, data, precision="fp32")
    assert isinstance(model.classifier, nn.Linear) and not model.classifier._forward_pre_hooks
    vectors = features.tensors[0]
    assert torch.cdist(vectors, vectors)[0, 1:].min() > 0.1  # so different that a wrong order would show
    of_head, of_model = predict(model.classifier, features, precision="fp32"), predict(model, data, precision="fp32")
    torch.testing.assert_close(of_head, of_model, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "inception_v3"])
def test_features_and_head_together_are_the_model(name):
    torch.manual_seed(0)
    model = replace_head(getattr(models, name)(weights=None), 3)
    side = 75 if name == "inception_v3" else 32
    data = [(torch.randn(3, side, side), label) for label in (0, 1, 2)]
    features = embed(model, data, precision="fp32")
    head = model.get_submodule(find_head(model))
    of_head, of_model = predict(head, features, precision="fp32"), predict(model, data, precision="fp32")
    torch.testing.assert_close(of_head, of_model, rtol=1e-3, atol=1e-4)
