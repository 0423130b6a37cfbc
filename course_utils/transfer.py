"""Turning a pretrained network to another task (chapters 3, 8 and 9): heads, freezing, rates per layer."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from torch import nn

# Where torchvision and transformers keep the layers that turn features into scores.
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
HEADS = ("fc", "classifier", "heads", "head", "score")


class Count(NamedTuple):
    """Parameters of a network: all of them, and those that an optimizer would change."""

    total: int
    trainable: int


def count_parameters(module: nn.Module) -> Count:
    """Count a module's weights, each shared one once. Works on the meta device too."""
    parameters = list(module.parameters())
    return Count(sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.requires_grad))


def freeze(module: nn.Module) -> nn.Module:
    """Stop a module from learning: no gradients, and batch norm keeps its pretrained statistics.

    Setting ``eval()`` alone does not do this; it changes what dropout and batch norm compute, while the optimizer goes
    on updating every weight. And without gradients alone, batch norm would still replace its running mean and variance
    in ``train()`` mode.

    Args:
        module: any module; it is changed in place.

    Returns:
        The same module, for chaining.
    """
    module.requires_grad_(False)
    for norm in _batch_norms(module):
        if _use_running_statistics not in norm._forward_pre_hooks.values():
            norm.register_forward_pre_hook(_use_running_statistics)
    return module


def unfreeze(module: nn.Module) -> nn.Module:
    """Let a module learn again, batch norm's statistics included: undoes `freeze`.

    Args:
        module: any module or part of one; it is changed in place.

    Returns:
        The same module, for chaining.
    """
    module.requires_grad_(True)
    for norm in _batch_norms(module):
        for key, hook in list(norm._forward_pre_hooks.items()):
            if hook is _use_running_statistics:
                del norm._forward_pre_hooks[key]
                norm.train(module.training)
    return module


def _batch_norms(module: nn.Module):
    return [m for m in module.modules() if isinstance(m, BATCH_NORMS)]


def _use_running_statistics(norm, inputs):
    norm.training = False  # whatever model.train() said before this step


def find_head(model: nn.Module) -> str:
    """The name of a model's last linear layer, for example ``"fc"`` (ResNet) or ``"classifier"`` (BERT).

    Raises:
        ValueError: the model ends in features, not in a head.
    """
    for name in HEADS:
        head = getattr(model, name, None)
        if isinstance(head, nn.Module):
            linear = [n for n, m in head.named_modules(prefix=name) if isinstance(m, nn.Linear)]
            if linear:
                return linear[-1]
    own = model.get_classifier() if hasattr(model, "get_classifier") else None  # timm's, whatever its name
    modules = dict(model.named_modules())
    last = list(modules)[-1]
    for name, module in modules.items():
        if isinstance(module, nn.Linear) and (module is own or (isinstance(model, nn.Sequential) and name == last)):
            return name
    raise ValueError(
        f"{type(model).__name__} has no classification head (looked for {', '.join(HEADS)}): load a class with one, "
        "such as BertForSequenceClassification or torchvision's resnet18."
    )


def replace_head(model: nn.Module, num_labels: int) -> nn.Module:
    """Put a new, untrained linear layer of `num_labels` outputs where the model's last one was.

    Args:
        model: a torchvision classifier or a transformers model for sequence classification; changed in place.
        num_labels: classes of the new task, at least 1.

    Returns:
        The same model, for chaining.

    Raises:
        ValueError: the model has no head, or `num_labels` is less than 1.
    """
    if num_labels < 1:
        raise ValueError(f"num_labels={num_labels}: a head needs at least one class.")
    names = [find_head(model)]
    if isinstance(getattr(getattr(model, "AuxLogits", None), "fc", None), nn.Linear):
        names.append("AuxLogits.fc")  # Inception's second head, used in training only
    for name in names:
        parent, _, last = name.rpartition(".")
        old = model.get_submodule(name)
        of_old = {"bias": old.bias is not None, "device": old.weight.device, "dtype": old.weight.dtype}
        new = nn.Linear(old.in_features, num_labels, **of_old)
        setattr(model.get_submodule(parent), last, new)
    if hasattr(model, "num_classes"):
        model.num_classes = num_labels
    if hasattr(model, "config"):
        model.config.num_labels = num_labels
        model.num_labels = num_labels
        name_classes(model, [f"LABEL_{i}" for i in range(num_labels)])  # not as the old head's classes were called
    return model


def name_classes(model: nn.Module, names: Sequence[str]) -> None:
    """Write the classes' names into a transformers model's config, both ways, so that ``pipeline`` says them."""
    model.config.id2label, model.config.label2id = dict(enumerate(names)), {name: i for i, name in enumerate(names)}


def parameter_groups(
    model: nn.Module, lr: float, *, layer_decay: float = 1.0, head_lr: float | None = None, weight_decay: float = 0.01
) -> list[dict]:
    """Optimizer groups with a learning rate per layer: the head learns fastest, each layer below more slowly.

    Follows the discriminative fine-tuning of ULMFiT (Howard & Ruder, 2018, https://arxiv.org/abs/1801.06146). Biases
    and normalisation weights get no weight decay. Frozen parameters are left out.

    Args:
        model: any model; layers are taken in the order of its parameters, the last being the head.
        lr: learning rate of the top layer below the head.
        layer_decay: the factor from each layer to the one below it, in (0, 1].
        head_lr: learning rate of the head; None: `lr`.
        weight_decay: for weight matrices.

    Returns:
        A list of dicts ``params``, ``lr``, ``weight_decay``, as ``torch.optim`` takes them.

    Raises:
        ValueError: nothing is trainable, or `layer_decay` is not in (0, 1].
    """
    if not 0 < layer_decay <= 1:
        raise ValueError(f"layer_decay={layer_decay} must lie in (0, 1]; 0.9 is usual.")
    layers = list(dict.fromkeys(_layer_of(name) for name, _ in model.named_parameters()))
    groups = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        below_head = len(layers) - 1 - layers.index(_layer_of(name))
        rate = lr * layer_decay ** (below_head - 1) if below_head else (lr if head_lr is None else head_lr)
        decay = weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((float(rate), decay), []).append(parameter)  # no NumPy float: saves hold plain numbers
    if not groups:
        raise ValueError("Every parameter is frozen: unfreeze the head, or replace it with replace_head.")
    return [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()]


def _layer_of(parameter_name: str) -> str:
    """``bert.encoder.layer.3.output.dense.weight`` → ``bert.encoder.layer.3``; ``fc.weight`` → ``fc``."""
    if parameter_name.startswith("encoder.ln."):  # ViT's last norm, above the layers; its position codes lie below
        return "encoder.ln"
    numbered = re.match(r"(.*?\bembeddings|(?:[^.]+\.)*?(?:encoder_layer_)?\d+)\.", parameter_name)
    return numbered.group(1) if numbered else parameter_name.partition(".")[0]
