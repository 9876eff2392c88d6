"""upheld.yaml: what it says, what is wrong with it and where."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from upheld.contract.load import find, load, parse_policy, policy_only, standard
from upheld.contract.policy import Policy
from upheld.contract.source import Located, read
from upheld.errors import ContractError

from .conftest import Write, document, operation, problems

OPENAPI = document({
    "/api/v1/items": {"get": operation(), "post": operation()},
    "/api/v1/auth/login": {"post": operation()},
    "/health": {"get": operation()},
})  # fmt: skip

COMPLETE = """\
upheld: 1
openapi: {file: openapi.yaml}
extends: standard
target: {url: "http://127.0.0.1:8500", served_spec: /openapi.json, base_ref: origin/main, start: "serve {port}", cwd: .,
         env: {PORT: 8500, DEBUG: false}, health: /health, profiles: {raised: {env: {LIMIT: 1000}}, shipped: {}}, allow_host: [a.test]}
prefix: /api/v1
public: [/health, "POST /auth/*", /docs]
errors: {format: rfc9457, require: [type], malformed: [400], errors_member: errors, exempt: [/auth/token],
         types: {"https://a.test/gone": 410}, pointer_style: pointer}
auth:
  login: {op: POST /auth/login, body: {email: $user}, access: /access_token, refresh: /refresh_token, media_type: application/json}
  logout: {revokes: all}
  jwt: {alg: HS256, access_ttl: 15m, refresh_ttl: 7d, claims: [sub], key_env: JWT_KEY, iss: me, aud: you}
  password: {min: 8, max_bytes: 72}
  enumeration: {login: forbidden, register: allowed}
  scheme: "apiKey:header:X-Key"
identities: {alice: {role: user}, admin: {role: admin, user: a@b.test, password_env: ADMIN_PASSWORD, api_key_env: KEY}}
roles: [{op: "POST /items", allow: [admin]}]
ownership: {foreign: 404, shared: [/items], protected: [role]}
rate_limits: [{op: POST /auth/login, quota: 10/min, key: ip, algorithm: fixed-window, headers: none}]
rate_limit: {algorithm: token-bucket, headers: draft-10, retry_after: required, replicas: shared, on_restart: keep,
             on_store_down: open, burst: 20}
caching: {authenticated: private, routes: {"GET /items": 60s}, etag: ["GET /items"], if_match: [], stale_after_write: 0s}
cors: {origins: ["https://app.test"], credentials: true}
latency: {crud: 200ms, complex: 500ms, auth: 1000ms, complex_ops: ["GET /items"]}
load: {users: 20, rate: 50/s, duration: 60s, max_error_rate: 0.1%, workers: 2, weights: {"GET /items": 3}}
limits: {body: 1MiB, header: 16KiB, page_max: 100, json_depth: 64, read_timeout: 30s}
never: [POST /items]
unique: [email]
volatile: [updated_at]
normalised: [email]
secrets: [password]
leak: {allow: ["^/app/"]}
implicit_statuses: [405]
security_headers: true
head: 405
versioning: path
unknown_route: 404
idempotency: {ops: [POST /items], ttl: 1d, required: true}
waive: [{id: http/head, op: "**", reason: "disabled", until: 2027-06-30}]
checks: {only: [http], skip: [cors/*], fail_on: SHOULD, requests: 5000, seconds: 600}
fuzz: {phases: [coverage], max_examples: 20, seconds: 30, seed: 7}
"""


def test_every_key_is_read(write: Write) -> None:
    policy = load(write(upheld=COMPLETE, openapi=OPENAPI)).policy
    assert set(Policy.model_fields) == policy.model_fields_set | {"versioning"}
    assert policy.target.env == {"PORT": "8500", "DEBUG": "false"}
    assert policy.target.profiles
    assert policy.target.profiles.raised.env == {"LIMIT": "1000"}
    assert policy.auth.jwt.refresh_ttl == 7 * 86400
    assert policy.rate_limits[0].quota == (10, 60.0)
    assert policy.caching.routes == {"GET /items": 60.0}
    assert policy.load.max_error_rate == pytest.approx(0.001)
    assert policy.limits.header == 16384
    assert policy.head == 405
    assert policy.waive[0].until == date(2027, 6, 30)
    assert policy.errors.types == {"https://a.test/gone": 410}


def test_an_operation_may_have_a_latency_target_of_its_own(write: Write) -> None:
    line = 'latency: {complex: 900ms, complex_ops: ["GET /items"], ops: {"GET /items": 50ms, "* /items": 70ms}}'
    contract = load(write(upheld=f"upheld: 1\n{line}\n", openapi=OPENAPI))
    targets = {op.label: contract.latency_target(op) for op in contract.operations}
    assert targets == pytest.approx({
        "GET /api/v1/items": 0.05, "POST /api/v1/items": 0.07, "POST /api/v1/auth/login": 0.2, "GET /health": 0.2,
    })  # fmt: skip


def test_a_latency_target_of_no_operation_is_an_error(write: Write) -> None:
    with pytest.raises(ContractError, match="'GET /itemz' matches no operation"):
        load(write(upheld='upheld: 1\nlatency: {ops: {"GET /itemz": 50ms}}\n', openapi=OPENAPI))


def test_a_load_may_last_as_long_as_it_takes(write: Write) -> None:
    assert (
        load(write(upheld="upheld: 1\nload: {duration: auto, longest: 2m}\n", openapi=OPENAPI)).policy.load.duration
        == "auto"
    )
    with pytest.raises(ContractError, match="or auto, found 'soon'"):
        load(write(upheld="upheld: 1\nload: {duration: soon}\n", openapi=OPENAPI))


def test_it_cannot_be_changed(write: Write) -> None:
    policy = load(write(openapi=OPENAPI)).policy
    with pytest.raises(Exception, match="frozen"):
        policy.latency.crud = 3.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("rate_limts: []", "unknown key 'rate_limts'; did you mean 'rate_limits'?"),
        ("auth: {jwt: {access_tll: 15m}}", "unknown key 'access_tll' in auth.jwt; did you mean 'access_ttl'?"),
        ("roles: [{op: /x, alow: [a], allow: [a]}]", "unknown key 'alow' in roles[0]; did you mean 'allow'?"),
        ("identities: {alice: {rol: x}}", "unknown key 'rol' in identities.alice; did you mean 'role'?"),
        ("leak: {zzz: 1}", "unknown key 'zzz' in leak; it knows allow"),
        ("latency: {crud: 200}", "latency.crud must be a duration such as 200ms, 60s, 15m or 7d, found 200 (a number); 200 has no unit"),
        ("rate_limits: [{op: /items, quota: lots}]", "rate_limits[0].quota must be a quota such as 10/min, 5/s or 100/15m, found 'lots' (text)"),
        ("rate_limits: [{op: items, quota: 1/s}]", "rate_limits[0].op must be an operation pattern such as 'POST /auth/*' or '**', found 'items'; the path begins with '/': '/items'"),
        ("rate_limits: [{quota: 1/s}]", "'op' is missing from rate_limits[0]"),
        ("rate_limits: {op: /items}", "rate_limits must be a list, found a mapping"),
        ("public: /health", "public must be a list, found '/health' (text)"),
        ("cors: none", "cors must be a mapping (lines of 'key: value'), found 'none' (text)"),
        ("cors: {credentials: maybe}", "cors.credentials must be true or false, found 'maybe' (text)"),
        ("identities: [alice]", "identities must be a mapping (lines of 'name: value'), found a list"),
        ("identities: {alice: {role: 7}}", "identities.alice.role must be text, found 7 (a number); put it in quotes"),
        ("identities: {a: {password_env: my secret}}", "identities.a.password_env must be the name of an environment variable such as CONTRACT_ADMIN_PASSWORD, found 'my secret' (text); secrets are never written into the file"),
        ("ownership: {foreign: 200}", "ownership.foreign must be 403, 404 or any, found 200 (a number)"),
        ("head: off", "head must be mirror, 405 or any, found 'off' (text)"),
        ("extends: house", "extends must be standard, found 'house' (text)"),
        ("load: {users: 0}", "load.users must be at least 1, found 0 (a number)"),
        ("load: {users: many}", "load.users must be a whole number, found 'many' (text)"),
        ("load: {max_error_rate: 0.1}", "load.max_error_rate must be a percentage such as 0.1% or 5%, found 0.1 (a number)"),
        ("limits: {body: big}", "limits.body must be a size such as 1MiB, 16KiB or 500KB, found 'big' (text)"),
        ("checks: {seconds: soon}", "checks.seconds must be a number, found 'soon' (text)"),
        ("errors: {malformed: [40]}", "errors.malformed[0] must be an HTTP status from 100 to 599, found 40"),
        ("auth: {login: {access: token}}", "auth.login.access must be a JSON Pointer such as /access_token or /data/token, found 'token' (text)"),
        ("leak: {allow: ['(']}", "leak.allow[0] must be a regular expression, found '('"),
        ("target: {url: localhost}", "target.url must look like http://127.0.0.1:8000, found 'localhost' (text)"),
        ("prefix: api", "prefix must look like /api/v1, found 'api' (text)"),
        ("target: {env: {A: [1]}}", "target.env A must be text, found a list"),
        ("target: {compose: a.yaml, image: shop}", "target.image and target.compose are two ways to start the service"),
        ("target: {image: shop, service: api}", "target.service is one of a Compose file: say target.compose"),
        ("target: {port: 8000}", "target.port is about a container: say target.compose or target.image"),
        ("target: {start: serve, inherit: [KEY]}", "target.inherit is about a container"),
        ("target: {image: shop, inherit: [a b]}", "target.inherit[0] must be the name of an environment variable"),
        ("target: {compose: a.yaml, parts: {db: {image: postgres}}}", "target.parts stand beside target.image"),
        ("target: {image: shop, parts: {Db.1: {image: postgres}}}", "target.parts are reached by their names, which look like db or redis-1"),
        ("target: {image: shop, parts: {db: {}}}", "'image' is missing from target.parts.db"),
        ("target: {image: shop, parts: {db: {image: pg}}, store: {part: redis}}", "target.store names the part 'redis', and target.parts has db"),
        ("target: {start: serve, store: {part: redis}}", "target.store names a part, and there is one only beside"),
        ("target: {compose: a.yaml, store: {part: redis, stop: x, start: y}}", "target.store says {stop: COMMAND, start: COMMAND}, both, or"),
        ("target: {store: {stop: x}}", "target.store says {stop: COMMAND, start: COMMAND}, both, or"),
        ("waive: [{id: x, reason: '', until: 2027-01-01}]", "waive[0].reason must not be empty"),
        ("waive: [{id: x, reason: y, until: soon}]", "waive[0].until must be a date such as 2027-06-30, found 'soon' (text)"),
        ("waive: [{id: x, reason: y}]", "'until' is missing from waive[0]"),
        ("caching: {routes: {'GET items': 60s}}", "caching.routes['GET items'] must be an operation pattern"),
    ],
)  # fmt: skip
def test_what_is_wrong_and_where(write: Write, line: str, sentence: str) -> None:
    found = problems(write(upheld=f"upheld: 1\nopenapi: openapi.yaml\n{line}\n", openapi=OPENAPI))
    assert len(found) == 1, found
    assert found[0].startswith(f"upheld.yaml:3: {sentence}")


def test_all_problems_come_at_once_in_the_order_of_lines(write: Write) -> None:
    found = problems(write(upheld="upheld: 1\nlatencies: {}\nload:\n  users: x\n  rte: 5/s\n", openapi=OPENAPI))
    assert [line.split(": ")[0] for line in found] == ["upheld.yaml:2", "upheld.yaml:4", "upheld.yaml:5"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "upheld.yaml:1: is empty; it begins with 'upheld: 1'"),
        ("- 1", "upheld.yaml:1: is empty; it begins with 'upheld: 1'"),
        ("prefix: /x", "upheld.yaml:1: has no 'upheld: 1', the version of its format"),
        ("upheld: 2", "upheld.yaml:1: upheld must be 1, found 2 (a number)"),
        ("upheld: 1\nupheld: 1", "upheld.yaml:2: the key 'upheld' is there twice, first in line 1"),
    ],
)
def test_the_file_itself(write: Write, text: str, expected: str) -> None:
    assert problems(write(upheld=text, openapi=OPENAPI)) == [expected]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("roles: [{op: POST /itms, allow: [admin]}]", "roles[0].op: 'POST /itms' matches no operation; did you mean POST /api/v1/items?"),
        ("never: [/nowhere/at/all]", "never[0]: '/nowhere/at/all' matches no operation"),
        ("rate_limits: [{op: POST /auth/logn, quota: 1/s}]", "rate_limits[0].op: 'POST /auth/logn' matches no operation; did you mean POST /api/v1/auth/login?"),
        ("caching: {routes: {'GET /item': 60s}}", "caching.routes['GET /item']: 'GET /item' matches no operation; did you mean GET /api/v1/items?"),
        ("auth: {login: {op: POST /auth/lgin}}", "auth.login.op: 'POST /auth/lgin' matches no operation; did you mean POST /api/v1/auth/login?"),
        ("auth: {login: {op: /items}}", "auth.login.op must name one operation, found GET /api/v1/items, POST /api/v1/items"),
        ("waive: [{id: x, op: DELETE /items, reason: y, until: 2027-01-01}]", "waive[0].op: 'DELETE /items' matches no operation; did you mean"),
        ("load: {weights: {/item: 3}}", "load.weights['/item']: '/item' matches no operation; did you mean"),
        ("latency: {complex_ops: [/reports/**]}", "latency.complex_ops[0]: '/reports/**' matches no operation"),
        ("prefix: /api/v2", "prefix '/api/v2': no operation lies under it; they lie under '/api/v1'"),
    ],
)  # fmt: skip
def test_a_rule_that_matches_nothing_is_an_error(write: Write, line: str, sentence: str) -> None:
    found = problems(write(upheld=f"upheld: 1\nopenapi: openapi.yaml\n{line}\n", openapi=OPENAPI))
    assert found[0].startswith(f"upheld.yaml:3: {sentence}")
    assert len(found) == 1


def test_public_and_exempt_may_name_what_the_document_does_not_show(write: Write) -> None:
    lines = "public: [/docs]\nrate_limits: [{op: '**', quota: 1/s, exempt: [/metrics]}]\nerrors: {exempt: [/token]}\n"
    assert load(write(upheld=f"upheld: 1\n{lines}", openapi=OPENAPI)).policy.public == ("/docs",)


# -- the standard --------------------------------------------------------------------------------------------------------


def test_the_standard_is_a_policy() -> None:
    policy = parse_policy(Located({"upheld": 1, **standard()}, "standard.yaml"))
    assert policy.errors.format == "rfc9457"
    assert [rule.quota for rule in policy.rate_limits] == [(10, 60), (5, 60), (30, 60), (100, 60)]
    assert policy.auth.jwt.access_ttl == 900
    assert policy.security_headers


def test_lines_of_the_standard_that_match_nothing_are_dropped_and_told(write: Write) -> None:
    contract = load(write(upheld="upheld: 1\nextends: standard\n", openapi=OPENAPI))
    assert [rule.pattern for rule in contract.rate_rules] == ["POST /auth/login", "**"]
    told = {inference.key: inference.source for inference in contract.inferences if inference.value == "dropped"}
    assert told == {
        "rate_limits[1].op": "the standard's line: no operation matches 'POST /auth/register'",
        "rate_limits[2].op": "the standard's line: no operation matches 'POST /auth/refresh'",
    }


def test_the_standard_prefix_gives_way_to_the_documents(write: Write) -> None:
    contract = load(
        write(upheld="upheld: 1\nextends: standard\n", openapi=document({"/v2/items": {"get": operation()}}))
    )
    assert contract.prefix == "/v2"
    assert [i.value for i in contract.inferences if i.key == "prefix"] == ["dropped", "/v2"]


def test_the_file_is_laid_over_the_standard(write: Write) -> None:
    text = "upheld: 1\nextends: standard\nlatency: {crud: 1s}\nrate_limits: [{op: '**', quota: 5/s}]\n"
    policy = load(write(upheld=text, openapi=OPENAPI)).policy
    assert (policy.latency.crud, policy.latency.auth) == (1.0, 1.0)
    assert [rule.quota for rule in policy.rate_limits] == [(5, 1.0)]
    assert policy.caching.authenticated == "private"


def test_without_the_standard_little_is_promised(write: Write) -> None:
    contract = load(write(openapi=OPENAPI))
    assert contract.rate_rules == ()
    assert contract.policy.errors.format == "any"
    assert not contract.policy.security_headers


# -- environment, files --------------------------------------------------------------------------------------------------


def test_missing_environment_is_told_with_its_line(write: Write) -> None:
    text = "upheld: 1\nidentities:\n  alice: {token_env: ALICE_TOKEN}\n  admin:\n    password_env: ADMIN_PASSWORD\nauth: {jwt: {key_env: JWT_KEY}}\n"
    folder = write(upheld=text, openapi=OPENAPI)
    contract = load(folder)
    for variable, where in (
        ("ALICE_TOKEN", "upheld.yaml:3, identities.alice.token_env"),
        ("ADMIN_PASSWORD", "upheld.yaml:5, identities.admin.password_env"),
        ("JWT_KEY", "upheld.yaml:6, auth.jwt.key_env"),
    ):
        assert contract.unset(variable) == f"the environment variable {variable} is not set ({folder}/{where})"
    assert contract.place("identities", "alice").line == 3


@pytest.mark.parametrize(
    ("text", "file", "served"),
    [
        ("", "openapi.yaml", None),
        ("openapi: openapi.yaml", "openapi.yaml", None),
        ("openapi: /openapi.json", None, "/openapi.json"),
        ("openapi: https://a.test/o.json", None, "https://a.test/o.json"),
        ("openapi: {served: /o.json}", None, "/o.json"),
    ],
)
def test_where_the_document_is(write: Write, text: str, file: str | None, served: str | None) -> None:
    part = policy_only(write(upheld=f"upheld: 1\n{text}\n", openapi=OPENAPI))
    assert part.document_file == (part.folder / file if file else None)
    assert part.document_served == served


def test_without_a_document_the_target_is_asked(write: Write) -> None:
    folder = write(upheld="upheld: 1\n")
    assert policy_only(folder).document_served == "/openapi.json"
    assert "is served by the target (/openapi.json) and has not been fetched" in problems(folder)[0]
    import json

    contract = load(folder, openapi_bytes=json.dumps(OPENAPI).encode(), target_url="http://127.0.0.1:1/base")
    assert contract.operations[0].path == "/base/api/v1/items"
    assert contract.name == folder.name


def test_a_document_that_is_not_there(write: Write) -> None:
    found = problems(write(upheld="upheld: 1\nopenapi: nope.yaml\n"))
    assert found[0].startswith("upheld.yaml:2: openapi: nope.yaml cannot be read: No such file")


def test_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        (tmp_path / "contracts" / name).mkdir(parents=True)
        (tmp_path / "contracts" / name / "upheld.yaml").write_text("upheld: 1\n")
    monkeypatch.chdir(tmp_path)
    both = ["contracts/a/upheld.yaml", "contracts/b/upheld.yaml"]
    assert [path.as_posix() for path in find()] == both
    assert [path.as_posix() for path in find(["contracts"])] == both
    assert [path.as_posix() for path in find(["contracts/a", "contracts/a/upheld.yaml"])] == both[:1]
    with pytest.raises(ContractError, match="`upheld init` begins one"):
        find([tmp_path / "contracts" / "c"])


def test_the_four_line_file(write: Write) -> None:
    text = """\
upheld: 1
openapi: openapi.yaml
target: {url: "http://127.0.0.1:8000"}
identities: {alice: {role: user}, bob: {role: user}}
"""
    contract = load(write(upheld=text, openapi=OPENAPI))
    assert contract.prefix == "/api/v1"
    assert contract.policy.roles_named() == ("user",)


def test_reading_says_the_file(tmp_path: Path) -> None:
    value: Any = read(b"upheld: 1\n", "here.yaml")
    assert value.place(["upheld"]).file == "here.yaml"
