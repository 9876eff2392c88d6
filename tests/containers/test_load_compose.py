"""load/compose.yaml: a master and its workers in containers press on a service in another one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from docker import DockerClient
from docker.models.containers import Container
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.wait_strategies import HttpWaitStrategy
from tests.containers.compose import Project, project
from tests.containers.stacks import until
from tests.live.shopping import ADMIN
from tests.test_architecture import REPO

from upheld.run.prepare import bundled

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("compose_plugin")]

LOGIN, PRODUCTS, PRODUCT = "/api/v1/auth/login", "/api/v1/products", "/api/v1/products/{product_id}"
FAILING = "latency/tenth-product-fails"
"""No busy machine explains that away, as it does what is slow."""

Load = Callable[[str], AbstractContextManager[Project]]


class Shop(NamedTuple):
    """The service, and the network in which it goes by the name of shop."""

    container: DockerContainer
    network: Network

    def asked_by(self, client: Container) -> bool:
        """This container has sent it something."""
        client.reload()
        address = client.attrs["NetworkSettings"]["Networks"][self.network.name]["IPAddress"]
        return f'"client": "{address}"' in b"".join(self.container.get_logs()).decode()


@pytest.fixture
def shop(reference_image: str, request: pytest.FixtureRequest) -> Iterator[Shop]:
    """It has the defect of its parameter, if any."""
    own = {"PROFILE": "raised", "BCRYPT_COST": "4", "ADMIN_PASSWORD": ADMIN[1]}
    own |= {"MUTANT": request.param} if hasattr(request, "param") else {}
    with Network() as network:
        container = DockerContainer(reference_image, network=network, network_aliases=["shop"]).with_exposed_ports(8500)
        container.with_envs(**{f"UPHELD_REFERENCE_{name}": value for name, value in own.items()})
        with container.waiting_for(HttpWaitStrategy(8500, "/health").for_status_code(200).with_startup_timeout(60)):
            yield Shop(container, network)


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One product is read, and there is what it takes to have one."""
    document = yaml.safe_load((bundled() / "openapi.yaml").read_text())
    paths = {LOGIN: {"post"}, PRODUCTS: {"post"}, PRODUCT: {"get"}}
    document["paths"] = {
        path: {key: value for key, value in document["paths"][path].items() if key in methods or key == "parameters"}
        for path, methods in paths.items()
    }
    policy: dict[str, Any] = {
        "upheld": 1,
        "openapi": "openapi.yaml",
        "auth": {"login": {
            "op": f"POST {LOGIN}", "body": {"email": "$user", "password": "$password"}, "access": "/access_token",
        }},
        "identities": {"admin": {"role": "admin", "user": ADMIN[0], "password_env": "SHOP_ADMIN_PASSWORD"}},
        "load": {"rate": "30/s", "max_error_rate": "1%", "weights": {f"POST {LOGIN}": 0, f"POST {PRODUCTS}": 0}},
        "unique": ["sku"],
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("contract")
    folder.chmod(0o755)
    (folder / "upheld.yaml").write_text(yaml.safe_dump(policy))
    (folder / "openapi.yaml").write_text(yaml.safe_dump(document))
    return folder


@pytest.fixture
def load(contract: Path, shop: Shop, reference_image: str, tmp_path: Path) -> Load:
    """Two workers and a master that press for so long."""

    def made(duration: str) -> AbstractContextManager[Project]:
        file = contract / "upheld.yaml"
        policy = yaml.safe_load(file.read_text())
        policy["load"]["duration"] = duration
        file.write_text(yaml.safe_dump(policy))
        credentials = tmp_path / "credentials.env"
        credentials.write_text(f"SHOP_ADMIN_PASSWORD={ADMIN[1]}\n")
        return project(
            REPO / "load" / "compose.yaml",
            UPHELD_IMAGE=reference_image,
            TARGET="http://shop:8500",
            TARGET_HOST="shop",
            NETWORK=shop.network.name,
            CONTRACT=str(contract),
            CREDENTIALS=str(credentials),
            WORKERS="2",
        )

    return made


def ended(generators: Project, to: Path) -> tuple[int, dict[str, Any]]:
    """The master's exit status, and its report."""
    status = generators.run("wait", "master").returncode
    generators("cp", "master:/home/upheld/.upheld/load", str(to))
    return status, json.loads((to / "report.json").read_text())


@pytest.mark.parametrize("shop", [FAILING], indirect=True)
def test_the_master_s_status_and_report_are_the_verdict_on_what_all_workers_sent(load: Load, tmp_path: Path) -> None:
    with load("4s") as generators:
        generators("up", "--detach", "--no-build")
        status, report = ended(generators, tmp_path / "report")
        said = generators("logs", "--no-log-prefix", "master")
    run = report["load"]
    assert run["valid"], run["reason"]
    breached = {promise["id"] for promise in report["promises"] if promise["verdict"] == "breached"}
    assert status == 1, said
    assert "latency/error-rate[service]" in breached
    assert ADMIN[1] not in said
    workers = [worker["sent"] for worker in run["workers"]]
    assert len(workers) == 2
    assert min(workers) > 0.25 * sum(workers) > 0


def test_a_worker_that_is_killed_makes_the_run_invalid(
    load: Load, shop: Shop, engine: DockerClient, tmp_path: Path
) -> None:
    with load("300s") as generators:
        generators("up", "--detach", "--no-build")
        crew = [engine.containers.get(told["ID"]) for told in generators.containers("worker")]
        assert until(lambda: all(map(shop.asked_by, crew)))
        crew[0].kill()
        status, report = ended(generators, tmp_path / "report")
    assert status == 0, "nothing was measured that anybody could be accused of"
    assert not report["load"]["valid"]
    assert "is gone" in report["load"]["reason"]
    assert {row["verdict"] for row in report["load"]["rows"]} == {"invalid"}
