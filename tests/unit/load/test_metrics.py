"""The Prometheus text, read by the rules of its format rather than compared with itself."""

from __future__ import annotations

import re
from collections import defaultdict

from tests.unit.load.making import counted, mixed, plan, pressed

from upheld.load.counts import Counts
from upheld.load.metrics import CONTENT_TYPE, Moment, exposition

LINE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)')
Samples = dict[str, dict[tuple[tuple[str, str], ...], float]]


def parsed(text: str) -> tuple[Samples, dict[str, str]]:
    """Samples and types of a text in the exposition format 0.0.4."""
    samples: Samples = defaultdict(dict)
    types: dict[str, str] = {}
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types, "one TYPE a metric"
            assert name not in samples, "TYPE stands before the samples"
            types[name] = kind
        elif not line.startswith("# HELP "):
            match = LINE.fullmatch(line)
            assert match, line
            labels = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or "")
            unescaped = ((k, re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], v)) for k, v in labels)
            key = tuple(sorted(unescaped))
            assert key not in samples[match[1]], "one sample a set of labels"
            samples[match[1]][key] = float(match[3])
    return samples, types


def test_the_counts_as_prometheus_reads_them() -> None:
    latencies = mixed(90, 0.1, fast=20.0, slow=400.0)
    odd = pressed("GET /b", limit_ms=333.0)
    made = plan(pressed("GET /a", limit_ms=250.0), odd)
    counts = counted(latencies, 250.0, errors={"500": 3, "ConnectionRefusedError": 1}, throttled=4, unfinished=2)
    moment = Moment({"GET /a": counts}, in_flight=7, delay_ms=12.0, noise_ms=3.5, generators=2)
    samples, types = parsed(exposition(made, moment))

    a = ("operation", "GET /a")
    outcomes = {dict(key)["outcome"]: value for key, value in samples["upheld_load_requests_total"].items() if a in key}
    assert outcomes == {"ok": 90, "error": 4, "throttled": 4, "unfinished": 2}
    assert sum(outcomes.values()) == counts.sent
    assert samples["upheld_load_over_limit_total"] == {(a,): 9 + 4 + 2, (("operation", "GET /b"),): 0}
    buckets = {
        dict(key)["le"]: value for key, value in samples["upheld_load_latency_seconds_bucket"].items() if a in key
    }
    # The limit is an edge, so that the share over it can be read exactly.
    assert (buckets["0.25"], buckets["0.5"], buckets["+Inf"], buckets["0.01"]) == (81, 90, 90, 0)
    assert list(buckets.values()) == sorted(buckets.values())
    assert any(dict(key)["le"] == "0.333" for key in samples["upheld_load_latency_seconds_bucket"])
    assert samples["upheld_load_latency_seconds_count"][a,] == buckets["+Inf"]
    assert abs(samples["upheld_load_latency_seconds_sum"][a,] - sum(latencies) / 1000) < 0.01
    assert samples["upheld_load_in_flight"] == {(): 7}
    assert samples["upheld_load_generator_delay_seconds"] == {(): 0.012}
    assert samples["upheld_load_noise_floor_seconds"] == {(): 0.0035}
    assert samples["upheld_load_generators"] == {(): 2}
    assert types["upheld_load_latency_seconds"] == "histogram"
    assert {types[name] for name in types if name.endswith("_total")} == {"counter"}
    assert set(samples) == {
        *(set(types) - {"upheld_load_latency_seconds"}),
        *(f"upheld_load_latency_seconds_{part}" for part in ("bucket", "sum", "count")),
    }
    assert "version=0.0.4" in CONTENT_TYPE


def test_names_are_escaped_and_what_is_not_measured_is_left_out() -> None:
    name = 'GET /a"b\\c'
    samples, types = parsed(exposition(plan(pressed(name)), Moment({name: Counts(sent=1, ok=1)})))
    assert ((("operation", name),)) in samples["upheld_load_over_limit_total"]
    assert "upheld_load_noise_floor_seconds" not in types
