"""`vision_model` gives torchvision's weights or a stand-in that is used the same way, and says which."""

import json
from pathlib import Path

import pytest
import torch
from torchvision.models import get_model, get_model_weights

import course_utils as cu
from course_utils.sources import checkpoints, download
from course_utils.sources.checkpoints import CIFAR_CLASSES, RESNET10, VISION_MODELS, resnet10, save_fp16, vision_model

BUNDLED = Path(cu.__file__).parent / "bundled" / RESNET10


@pytest.fixture
def bundled(monkeypatch):
    monkeypatch.setenv("COURSE_SOURCE", "bundled")
    monkeypatch.setattr(download, "reachable", lambda url: pytest.fail("asked the network"))


@pytest.mark.parametrize("name", VISION_MODELS)
def test_bundled_stand_ins_are_used_as_torchvisions_own(bundled, name, capsys):
    model, weights = vision_model(name)
    assert capsys.readouterr().out.startswith(f"{name} → bundled stand-in: ")
    picture, _ = cu.creatures(1, validation=1, test=1).train[0]
    batch = weights.transforms()(picture)[None]
    assert batch.shape == (1, 3, 64, 64) and batch.dtype == torch.float32
    with torch.inference_mode():
        logits = model.eval()(batch)
    assert logits.shape == (1, len(weights.meta["categories"])) and weights.meta["categories"] == CIFAR_CLASSES


def test_the_bundled_weights_are_what_the_recipe_recorded(bundled):
    files = {path.name: path.stat().st_size for path in (BUNDLED).iterdir()}
    assert set(files) == {"model.safetensors", "record.json", "README.md"}
    assert files["model.safetensors"] <= 10_000_000
    record = json.loads((BUNDLED / "record.json").read_text(encoding="utf-8"))
    assert f"{record['test_accuracy']:.4f}" in (BUNDLED / "README.md").read_text(encoding="utf-8")


def test_random_weights_are_random_and_pretrained_ones_are_not(bundled):
    first, again = (vision_model("resnet18")[0].fc.weight for _ in range(2))
    assert torch.equal(first, again)
    first, again = (vision_model("resnet18", pretrained=False)[0].fc.weight for _ in range(2))
    assert first.shape == again.shape and not torch.equal(first, again)


def test_bundled_features_tell_apart_what_random_ones_do_not(bundled):
    """A picture and its mirror image are more alike than two creatures, to a network that has learned to see."""
    model, weights = vision_model("resnet18")
    pictures = cu.creatures(4, validation=1, test=1).train.with_transform(weights.transforms())
    batch = torch.stack([picture for picture, _ in pictures])
    features = {}
    cu.freeze(model.eval())
    model.avgpool.register_forward_hook(lambda module, inputs, output: features.update(now=output.flatten(1)))
    model(batch)
    ours = features["now"]
    model(batch.flip(-1))
    alike = torch.nn.functional.cosine_similarity
    assert alike(ours, features["now"]).mean() > alike(ours, ours.roll(1, 0)).mean() + 0.05


def test_weights_in_torch_home_are_used_without_asking_the_network(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("COURSE_SOURCE", "hub")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(download, "reachable", lambda url: pytest.fail("asked the network"))
    weights = get_model_weights("mobilenet_v3_small").DEFAULT
    original = get_model("mobilenet_v3_small")
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    torch.save(original.state_dict(), tmp_path / "hub/checkpoints" / Path(weights.url).name)
    model, found = vision_model("mobilenet_v3_small")
    assert found is weights and len(found.meta["categories"]) == 1000
    assert torch.equal(model.classifier[3].weight, original.classifier[3].weight)
    assert capsys.readouterr().out == ""


def test_out_of_reach_means_a_stand_in_or_an_error_as_the_source_says(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(download, "reachable", lambda url: False)
    monkeypatch.setenv("COURSE_SOURCE", "auto")
    assert vision_model("resnet50")[0].fc.out_features == 10
    assert "stand-in" in capsys.readouterr().out
    monkeypatch.setenv("COURSE_SOURCE", "hub")
    with pytest.raises(
        ConnectionError, match=r"COURSE_SOURCE=hub, but https://download\.pytorch\.org.*does not answer"
    ):
        vision_model("resnet50")


def test_random_weights_need_no_network_where_the_real_network_is_meant(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_SOURCE", "hub")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(download, "reachable", lambda url: True)
    model, weights = vision_model("resnet18", pretrained=False)
    assert model.fc.out_features == 1000 and weights is get_model_weights("resnet18").DEFAULT


def test_an_unknown_name_gets_the_list_of_names():
    with pytest.raises(ValueError, match="Unknown vision model 'resnet19': the course uses resnet18, resnet50"):
        vision_model("resnet19")


def test_damaged_weights_are_named_with_the_remedy(bundled, monkeypatch):
    monkeypatch.setitem(checkpoints.BUNDLED_FILES, checkpoints.RESNET10, {"model.safetensors": "0" * 64})
    with pytest.raises(ValueError, match=r"model\.safetensors has sha256 .*install the course's package again"):
        vision_model("resnet18")


def test_half_precision_keeps_what_the_network_says(tmp_path):
    torch.manual_seed(0)
    model = resnet10().eval()
    save_fp16(model, tmp_path / "model.safetensors")
    restored = resnet10().eval()
    state = checkpoints.load_file(tmp_path / "model.safetensors")
    assert {v.dtype for k, v in state.items() if "running" in k} == {torch.float32}
    restored.load_state_dict({key: value.float() for key, value in state.items()})
    batch = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(restored(batch), model(batch), rtol=1e-2, atol=1e-2)


@pytest.mark.real
def test_the_bundled_weights_do_on_cifar10_what_their_record_says(cache_of_real_data):
    model, weights = vision_model(RESNET10)
    test = cu.load_cifar10(1, validation=0).test.with_transform(weights.transforms())
    record = json.loads((BUNDLED / "record.json").read_text(encoding="utf-8"))
    assert len(test) == 10_000
    assert cu.evaluate(model, test).accuracy == pytest.approx(record["test_accuracy"], abs=0.002)
