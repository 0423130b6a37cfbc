"""The tests of the package hold on a machine with a GPU too: here they run on one that is made believe."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState, PartialState
from fake_accelerator import fake_accelerator
from torch import nn
from torch.utils.data import TensorDataset

from course_utils.training import fit

HERE = Path(__file__).parent
MODELS_MOVE_IN = [f"test_{what}.py" for what in ("training", "transfer", "errata", "loop", "pretraining")]


pytestmark = pytest.mark.filterwarnings("ignore:'pin_memory' argument is set")


@pytest.fixture
def pair():
    """The same numbers on the CPU and on the device."""
    with fake_accelerator():
        here = torch.arange(6.0).reshape(2, 3)
        yield here, here.to("cuda")


@pytest.mark.parametrize(
    ("mix", "error"),
    [
        (lambda here, there: here + there, RuntimeError),
        (lambda here, there: torch.equal(here, there), RuntimeError),
        (lambda here, there: nn.Linear(3, 2)(there), RuntimeError),
        (lambda here, there: nn.Linear(3, 2).to(there.device)(here), RuntimeError),
        (lambda here, there: here[there[:, 0] > 0], RuntimeError),
        (lambda here, there: there.normal_(generator=torch.Generator()), RuntimeError),
        (lambda here, there: there.numpy(), TypeError),
        (lambda here, there: torch.testing.assert_close(here, there), AssertionError),
    ],
)
def test_what_a_gpu_refuses_is_refused(pair, mix, error):
    with pytest.raises(error, match="device"):
        mix(*pair)


def test_what_a_gpu_allows_is_allowed(pair):
    here, there = pair
    assert there.is_cuda and there[0].device == (there * 2).device == torch.zeros(1, device=there.device).device
    assert torch.equal(there.cpu(), here) and there.tolist() == here.tolist() and there.sum().item() == 15
    assert (there * torch.tensor(2.0)).is_cuda and there[torch.tensor([1])].is_cuda
    assert torch.empty_like(here).copy_(there).is_cpu


def test_a_model_goes_there_learns_there_and_comes_back(pair):
    here, there = pair
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    weight = model[0].weight
    model.to("cuda")
    assert weight is model[0].weight and weight.is_cuda and model[1].running_mean.is_cuda
    model(there).square().sum().backward()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    optimizer.step()
    assert weight.grad.is_cuda and all(value.is_cuda for value in optimizer.state[weight].values())
    assert model.cpu()(here).is_cpu


def test_fit_goes_there_although_a_trainer_before_it_chose_the_cpu(pair):
    here, _ = pair
    AcceleratorState._reset_state(reset_partial_state=True)
    PartialState(cpu=True)
    model = nn.Linear(3, 2)
    fit(model, TensorDataset(here, torch.tensor([0, 1])), epochs=1, progress=False)
    assert model.weight.is_cuda


def test_the_tests_of_training_hold_on_an_accelerator():
    """The two that start processes of their own would find the CPU there."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "fake_accelerator", "-p", "no:cacheprovider", "--tb=short"]
    command += ["-k", "not killed_process and not two_processes", *(HERE / name for name in MODELS_MOVE_IN)]
    environment = os.environ | {"PYTHONPATH": str(HERE), "COURSE_PRECISION": "fp32", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=HERE.parent, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-10_000:]
