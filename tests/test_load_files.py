"""The files in load/ that start many machines say what the command understands, and what they say fits together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from kubernetes_validate import ValidationError, validate
from kubernetes_validate.utils import all_versions

from upheld.cli import main

LOAD = Path(__file__).parents[1] / "load"
SET = {
    "TARGET": "http://shop:8000", "TARGET_HOST": "shop", "NETWORK": "shop_default", "CONTRACT": "contracts/shop", "WORKERS": "4",
}  # fmt: skip


def interpolated(text: str, given: Mapping[str, str]) -> str:
    """As Compose does it: ``${NAME:-default}``, ``${NAME:?what it is}``."""

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match.group(1), match.group(2), match.group(3)
        if name not in given and kind == ":?":
            raise KeyError(name)
        return given.get(name, rest or "")

    return re.sub(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}", value, text)


def compose(given: Mapping[str, str] = SET) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(interpolated((LOAD / "compose.yaml").read_text(), given))
    return read


def kubernetes() -> dict[tuple[str, str], dict[str, Any]]:
    """Kind and name → object."""
    objects = yaml.safe_load_all((LOAD / "kubernetes.yaml").read_text())
    return {(item["kind"], item["metadata"]["name"]): item for item in objects}


def understood(words: list[str]) -> dict[str, Any]:
    """The parameters that ``upheld load`` reads from a command. Raises `click.UsageError`."""
    assert words[:2] == ["upheld", "load"]
    with main.commands["load"].make_context("load", words[2:]) as context:
        return context.params


def pod(job: Mapping[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = job["spec"]["template"]["spec"]
    return spec


def container(job: Mapping[str, Any]) -> dict[str, Any]:
    (only,) = pod(job)["containers"]
    return dict(only)


def test_compose_starts_as_many_workers_as_its_master_waits_for() -> None:
    for workers in ("4", None):
        given = {**SET, "WORKERS": workers} if workers else {name: SET[name] for name in SET if name != "WORKERS"}
        services = compose(given)["services"]
        master = understood([str(word) for word in services["master"]["command"]])
        worker = understood(services["worker"]["command"])
        assert master["expect_workers"] == services["worker"]["deploy"]["replicas"]
        assert (worker["worker"][0], worker["worker"][1]) == ("master", master["master"][1])
        assert master["share_secrets"]
        assert master["target"] == "http://shop:8000"
        assert master["allow_host"] == ("shop",)


def test_only_composes_master_has_credentials_and_the_workers_hear_them_in_private() -> None:
    read = compose()
    master, worker = read["services"]["master"], read["services"]["worker"]
    assert "env_file" in master
    assert "env_file" not in worker
    assert "volumes" not in worker
    assert read["networks"]["generators"]["internal"] is True
    assert "ports" not in master
    assert "load/credentials.env" in (LOAD.parent / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("name", ["TARGET", "TARGET_HOST", "NETWORK"])
def test_compose_says_what_is_missing(name: str) -> None:
    with pytest.raises(KeyError, match=f"^'{name}'$"):
        compose({key: value for key, value in SET.items() if key != name})


def test_kubernetes_starts_as_many_workers_as_its_master_waits_for() -> None:
    objects = kubernetes()
    master, worker = objects["Job", "upheld-load-master"], objects["Job", "upheld-load-worker"]
    said, work = understood(container(master)["args"]), understood(container(worker)["args"])
    assert said["expect_workers"] == worker["spec"]["parallelism"] == worker["spec"]["completions"]
    assert said["share_secrets"]
    service = objects["Service", work["worker"][0]]
    ports = {port["port"] for port in service["spec"]["ports"]}
    policy = objects["NetworkPolicy", "upheld-load-master"]["spec"]
    allowed = {port["port"] for rule in policy["ingress"] for port in rule["ports"]}
    assert ports == allowed == {said["master"][1]} == {work["worker"][1]}
    labels = master["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"] == policy["podSelector"]["matchLabels"] == labels
    (admitted,) = policy["ingress"][0]["from"]
    assert admitted["podSelector"]["matchLabels"] == worker["spec"]["template"]["metadata"]["labels"] != labels


@pytest.mark.parametrize("version", [all_versions()[0], all_versions()[-1]])
def test_kubernetes_knows_every_key(version: str) -> None:
    for item in kubernetes().values():
        validate(item, version, strict=True)


def test_a_key_that_kubernetes_does_not_know_would_be_seen() -> None:
    job = kubernetes()["Job", "upheld-load-master"]
    pod(job)["restartPolicies"] = "Never"
    with pytest.raises(ValidationError, match="restartPolicies"):
        validate(job, all_versions()[-1], strict=True)


def test_kubernetes_takes_one_verdict_for_the_verdict() -> None:
    objects = kubernetes()
    for name in ("upheld-load-master", "upheld-load-worker"):
        job = objects["Job", name]
        assert job["spec"]["backoffLimit"] == 0
        assert pod(job)["restartPolicy"] == "Never"
        assert pod(job)["automountServiceAccountToken"] is False
    (source,) = container(objects["Job", "upheld-load-master"])["envFrom"]
    assert ("Secret", source["secretRef"]["name"]) in objects
    assert "envFrom" not in container(objects["Job", "upheld-load-worker"])


def test_a_flag_that_the_command_does_not_know_would_be_seen() -> None:
    with pytest.raises(click.UsageError):
        understood(["upheld", "load", "/contract", "--expected-workers", "4"])


@pytest.mark.parametrize("file", ["load/compose.yaml", "load/kubernetes.yaml", "compose.yaml", "Dockerfile"])
def test_no_registry_is_named(file: str) -> None:
    text = interpolated((LOAD.parent / file).read_text(), SET)
    images = re.findall(r"^\s*(?:image: |(?:ARG )?PYTHON_IMAGE[:=] ?)(\S+)", text, re.MULTILINE)
    assert images
    assert [name for name in images if not re.fullmatch(r"(upheld|python|postgres|redis)(:[\w.-]+)?", name)] == []


def test_no_secret_is_written() -> None:
    secrets = [item for (kind, _), item in kubernetes().items() if kind == "Secret"]
    assert [value for item in secrets for value in item["stringData"].values()] == [""]
