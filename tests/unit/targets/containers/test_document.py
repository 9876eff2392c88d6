"""From what Compose says that a file means to the file that is run in its place. No engine is needed."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from upheld.errors import UsageError
from upheld.targets.containers.document import answering, built, entry, environment, images, isolated

LABELS = {"upheld.target": "upheld-1"}
DATA = "/var/lib/postgresql/data"


def published(target: int, protocol: str = "tcp") -> dict[str, Any]:
    return {"mode": "ingress", "target": target, "published": str(target), "protocol": protocol}


def document(**services: dict[str, Any]) -> dict[str, Any]:
    return {"name": "shop", "services": services}


SHOP: dict[str, Any] = {
    "name": "shop",
    "networks": {"default": {"name": "shop_default", "ipam": {}}, "proxy": {"name": "proxy", "external": True}},
    "volumes": {
        "data": {"name": "shopdata"},
        "archive": {"name": "archive", "external": True},
        "fixtures": {"name": "fixtures", "external": True},
        "folder": {"name": "shop_folder", "driver_opts": {"type": "none", "o": "bind", "device": "/srv/shop"}},
        "memory": {"name": "shop_memory", "driver_opts": {"type": "tmpfs", "device": "tmpfs"}},
    },
    "services": {
        "api": {
            "build": {"context": "/shop", "dockerfile": "Dockerfile"},
            "container_name": "shop_api",
            "deploy": {"replicas": 3, "resources": {}},
            "environment": {"DATABASE_URL": "postgresql://db/a$$b", "LIMITS": "on", "FROM_OUTSIDE": None},
            "ports": [published(8000), published(9090)],
            "networks": {"default": None},
            "volumes": [{"type": "bind", "source": "/shop/data", "target": "/app/src"}],
        },
        "db": {
            "image": "postgres:16",
            "labels": {"team": "shop"},
            "ports": [published(5432)],
            "volumes": [
                {"type": "volume", "source": "data", "target": DATA, "volume": {}},
                {"type": "volume", "source": "archive", "target": "/archive"},
                {"type": "volume", "source": "fixtures", "target": "/fixtures", "read_only": True},
                {"type": "volume", "source": "folder", "target": "/folder"},
                {"type": "volume", "source": "memory", "target": "/memory"},
                {"type": "bind", "source": "/shop/pg", "target": f"{DATA}/"},
                {"type": "bind", "source": "/shop/init", "target": "/docker-entrypoint-initdb.d"},
                {"type": "bind", "source": "/shop/seed", "target": "/data", "read_only": True},
            ],
        },
        "worker": {"build": {"context": "/shop"}, "image": "shop:dev"},
        "cache": {"image": "redis:7"},
        "other": {"image": "redis:7"},
    },
}


@pytest.fixture
def shop() -> dict[str, Any]:
    return copy.deepcopy(SHOP)


@pytest.fixture
def alone(shop: dict[str, Any]) -> dict[str, Any]:
    return isolated(shop, project="upheld-1", builds="upheld-ab12", labels=LABELS)


# -- which service answers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("services", "said", "expected"),
    [
        ({"api": {"ports": [published(8000)]}, "db": {"expose": ["5432"]}}, (None, None), ("api", 8000)),
        ({"api": {"expose": ["8000/tcp"]}, "db": {}}, (None, None), ("api", 8000)),
        ({"api": {"ports": [published(8000)]}, "db": {"ports": [published(5432)]}}, (None, 8000), ("api", 8000)),
        ({"api": {"ports": [published(8000)], "expose": ["8000"]}}, (None, None), ("api", 8000)),
        ({"api": {"ports": [published(8000), published(53, "udp")]}}, (None, None), ("api", 8000)),
        ({"api": {"expose": ["1000-1001/udp", "8000"]}}, ("api", None), ("api", 8000)),
        ({"api": {}}, (None, 8000), ("api", 8000)),
        ({"api": {"ports": [published(8000)]}, "db": {}}, ("db", 5432), ("db", 5432)),
        ({"api": {"ports": [published(8000), published(9090)]}}, (None, 9090), ("api", 9090)),
    ],
)
def test_the_service_that_answers(services: Any, said: Any, expected: tuple[str, int]) -> None:
    assert entry(document(**services), *said) == expected


@pytest.mark.parametrize(
    ("services", "said", "words"),
    [
        ({"api": {}, "db": {}}, ("ap", None), "no service 'ap'; it has api, db"),
        ({"api": {"ports": [published(1)]}, "db": {"ports": [published(2)]}}, (None, None), r"api, db have ports: say"),
        ({"api": {"ports": [published(1)]}, "db": {"ports": [published(2)]}}, (None, 3), "which service answers"),
        ({"api": {}, "db": {}}, (None, None), "has api, db: say `target: {service: …, port: …}`"),
        ({}, (None, None), "has none at all"),
        ({"api": {"expose": ["1", "2-3"]}}, (None, None), "has the ports 1, 2, 3: say `target: {port: …}`"),
        ({"api": {}}, (None, None), "names none: say `target: {port: …}`"),
        ({"api": {"network_mode": "host"}}, (None, 8000), "network_mode host, so that no port"),
        ({"api": {"network_mode": "service:db"}, "db": {}}, ("api", 8000), "network_mode service:db"),
    ],
)
def test_what_upheld_yaml_has_to_say(services: Any, said: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        entry(document(**services), *said)


# -- beside the author's own stack ---------------------------------------------------------------------------------------


def test_nothing_of_the_host_is_taken(alone: dict[str, Any]) -> None:
    assert alone["name"] == "upheld-1"
    assert [name for name, one in alone["services"].items() if {"ports", "container_name"} & set(one)] == []


def test_all_that_is_made_has_our_name_and_our_label(alone: dict[str, Any]) -> None:
    assert alone["volumes"]["data"] == {"name": "upheld-1_data", "labels": LABELS}
    assert alone["networks"]["default"] == {"name": "upheld-1_default", "ipam": {}, "labels": LABELS}
    assert alone["networks"]["proxy"] == {"name": "proxy", "external": True}
    assert alone["services"]["db"]["labels"] == {"team": "shop", **LABELS}
    assert all(one["labels"].items() >= LABELS.items() for one in alone["services"].values())


def test_what_the_author_has_stored_is_not_used(alone: dict[str, Any]) -> None:
    assert alone["volumes"]["archive"] == {"name": "upheld-1_archive", "labels": LABELS}, "it would be written to"
    assert alone["volumes"]["fixtures"] == {"name": "fixtures", "external": True}, "it is only read"
    assert alone["volumes"]["folder"] == {"name": "upheld-1_folder", "labels": LABELS}, (
        "a folder of his by another name"
    )
    assert alone["volumes"]["memory"]["driver_opts"]["device"] == "tmpfs"
    mounts = {mount["target"]: mount for mount in alone["services"]["db"]["volumes"]}
    assert mounts[f"{DATA}/"] == {"type": "volume", "target": f"{DATA}/"}
    assert mounts["/docker-entrypoint-initdb.d"]["source"] == "/shop/init"
    assert mounts["/data"]["source"] == "/shop/seed"
    assert alone["services"]["api"]["volumes"] == SHOP["services"]["api"]["volumes"]


def test_an_image_that_is_built_has_the_same_name_each_time(alone: dict[str, Any], shop: dict[str, Any]) -> None:
    assert alone["services"]["api"]["image"] == "upheld-ab12-api"
    assert alone["services"]["worker"]["image"] == "shop:dev"
    assert built(shop) == ("api", "worker")
    assert images(shop) == ("postgres:16", "redis:7")


def test_what_was_resolved_is_left_as_it_is(alone: dict[str, Any], shop: dict[str, Any]) -> None:
    made = answering(alone, "api", 8000, at=("127.0.0.1", 15000), env={"LIMITS": "off"})
    assert shop == SHOP
    assert "ports" not in alone["services"]["api"]
    assert made["services"]["cache"] == alone["services"]["cache"]


def test_the_service_is_published_and_has_the_environment_of_its_profile(alone: dict[str, Any]) -> None:
    made = answering(alone, "api", 8000, at=("127.0.0.1", 15000), env={"LIMITS": "off", "KEY": "a$b"})["services"][
        "api"
    ]
    assert made["ports"] == [
        {"mode": "ingress", "target": 8000, "published": "15000", "host_ip": "127.0.0.1", "protocol": "tcp"}
    ]
    assert made["environment"] == {
        "DATABASE_URL": "postgresql://db/a$$b",
        "LIMITS": "off",
        "FROM_OUTSIDE": None,
        "KEY": "a$$b",
    }
    assert made["deploy"] == {"resources": {}}


def test_the_environments_of_all_services(shop: dict[str, Any]) -> None:
    known = {"api.DATABASE_URL": "postgresql://db/a$b", "api.LIMITS": "on"}
    assert environment(shop, {}) == {**known, "api.FROM_OUTSIDE": ""}
    assert environment(shop, {"FROM_OUTSIDE": "x", "LIMITS": "off"}) == {**known, "api.FROM_OUTSIDE": "x"}
