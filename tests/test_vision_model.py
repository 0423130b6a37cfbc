"""`vision_model` gives torchvision's weights or a stand-in that is used the same way, and says which."""

import dataclasses
import hashlib
import io
import json
import pickle
from pathlib import Path

import pytest
import torch
from torchvision.models import get_model, get_model_weights

import course_utils as cu
from course_utils.sources import checkpoints, download, network
from course_utils.sources.checkpoints import CIFAR_CLASSES, RESNET10, VISION_MODELS, resnet10, save_fp16, vision_model

BUNDLED = Path(cu.__file__).parent / "bundled" / RESNET10


@pytest.fixture
def bundled(monkeypatch):
    monkeypatch.setenv("COURSE_SOURCE", "bundled")
    monkeypatch.setattr(download, "download", lambda *a: pytest.fail("asked the network"))


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


@pytest.fixture
def torch_home(monkeypatch, tmp_path, cache):
    """An empty TORCH_HOME; all addresses refuse."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch home"))
    monkeypatch.setattr(download, "download", refuse)
    folder = tmp_path / "torch home/hub/checkpoints"
    folder.mkdir(parents=True)
    return folder


def refuse(*args):
    raise network.Refused("the server answered 404")


def published(model, monkeypatch, name="mobilenet_v3_small"):
    """Make these weights the ones that torchvision publishes; returns their bytes and their file's name."""
    weights, file = get_model_weights(name).DEFAULT, io.BytesIO()
    torch.save(model.state_dict(), file)
    digits = hashlib.sha256(file.getvalue()).hexdigest()[:8]
    named = f"{Path(weights.url).stem.rpartition('-')[0]}-{digits}.pth"
    here = dataclasses.replace(weights.value, url=f"https://download.pytorch.org/models/{named}")
    monkeypatch.setattr(weights, "_value_", here)
    return file.getvalue(), named


def test_weights_in_torch_home_are_used_without_asking_the_network(monkeypatch, torch_home, capsys):
    monkeypatch.setenv("COURSE_SOURCE", "hub")
    original = get_model("mobilenet_v3_small")
    content, name = published(original, monkeypatch)
    (torch_home / name).write_bytes(content)
    model, found = vision_model("mobilenet_v3_small")
    assert found is get_model_weights("mobilenet_v3_small").DEFAULT and len(found.meta["categories"]) == 1000
    assert torch.equal(model.classifier[3].weight, original.classifier[3].weight)
    assert capsys.readouterr().out == "" and checkpoints.runtime.checkpoints_are() == "hub"


def test_a_mirror_brings_weights_to_where_torchvision_looks(monkeypatch, torch_home, tmp_path):
    monkeypatch.setenv("COURSE_SOURCE", "hub")
    original = get_model("mobilenet_v3_small")
    content, name = published(original, monkeypatch)
    (tmp_path / "mirror/torch-home/hub/checkpoints").mkdir(parents=True)
    (tmp_path / "mirror/torch-home/hub/checkpoints" / name).write_bytes(content)
    monkeypatch.setenv("COURSE_MIRROR", str(tmp_path / "mirror"))
    model, _ = vision_model("mobilenet_v3_small")
    assert torch.equal(model.classifier[3].weight, original.classifier[3].weight)
    assert (torch_home / name).read_bytes() == content


def test_other_weights_under_a_published_name_are_used_and_named(monkeypatch, torch_home, capsys):
    """Such as a compressed ResNet-18; or one bit that a disk has lost."""
    monkeypatch.setenv("COURSE_SOURCE", "hub")
    _, name = published(get_model("mobilenet_v3_small"), monkeypatch)
    other = get_model("mobilenet_v3_small")
    torch.save(other.state_dict(), torch_home / name)
    model, _ = vision_model("mobilenet_v3_small")
    assert torch.equal(model.classifier[3].weight, other.classifier[3].weight)
    assert f"{name} is not the file that torchvision publishes" in capsys.readouterr().out
    assert checkpoints.runtime.checkpoints_are() == "mirror"


@pytest.mark.parametrize("damage", ["cut off", "no weights at all", "other network", "would run code"])
def test_a_damaged_file_in_torch_home_is_named_and_replaced_where_it_can_be(monkeypatch, torch_home, capsys, damage):
    content, name = published(get_model("mobilenet_v3_small"), monkeypatch)
    damaged = {"cut off": content[: len(content) // 2], "no weights at all": b"<html>Please log in</html>"}
    file = torch_home / name
    if damage == "other network":
        torch.save(resnet10().state_dict(), file)
    elif damage == "would run code":
        file.write_bytes(pickle.dumps(Trap()))
    else:
        file.write_bytes(damaged[damage])
    monkeypatch.setenv("COURSE_SOURCE", "auto")
    assert vision_model("mobilenet_v3_small")[0].fc.out_features == 10
    said = capsys.readouterr().out
    assert str(file) in said and "delete it" in said and "bundled stand-in: resnet10-cifar10" in said
    monkeypatch.setenv("COURSE_SOURCE", "hub")
    with pytest.raises(ConnectionError, match="delete it"):
        vision_model("mobilenet_v3_small")
    if damage != "other network":  # that one might be what its owner wants
        monkeypatch.setattr(download, "download", give(content))
        assert vision_model("mobilenet_v3_small")[0].classifier[3].out_features == 1000
        assert file.read_bytes() == content


class Trap:
    def __reduce__(self):
        return pytest.fail, ("what was in the file ran",)


def give(content):
    def download(url, partial, right, progress):
        partial.write_bytes(content)
        return right(partial)

    return download


def test_out_of_reach_means_a_stand_in_or_an_error_as_the_source_says(monkeypatch, torch_home, capsys):
    monkeypatch.setenv("COURSE_SOURCE", "auto")
    assert vision_model("resnet50")[0].fc.out_features == 10
    assert "stand-in" in (said := capsys.readouterr().out) and "the server answered 404" in said
    monkeypatch.setenv("COURSE_SOURCE", "hub")
    with pytest.raises(ConnectionError, match=r"COURSE_SOURCE=hub, but .*https://download\.pytorch\.org.*answered 404"):
        vision_model("resnet50")


def test_random_weights_are_those_of_the_network_whose_trained_ones_can_be_had(monkeypatch, torch_home):
    monkeypatch.setenv("COURSE_SOURCE", "auto")
    assert vision_model("mobilenet_v3_small", pretrained=False)[0].fc.out_features == 10
    content, _ = published(get_model("mobilenet_v3_small"), monkeypatch)
    monkeypatch.setattr(download, "download", give(content))
    model, weights = vision_model("mobilenet_v3_small", pretrained=False)
    assert weights is get_model_weights("mobilenet_v3_small").DEFAULT
    assert not torch.equal(model.classifier[3].weight, torch.load(io.BytesIO(content))["classifier.3.weight"])


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
