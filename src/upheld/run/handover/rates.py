"""Quotas as reports write them: ``10/min``, ``5 requests per minute per IP``, ``100 req/hour/user``."""

from __future__ import annotations

import re
from dataclasses import replace

from upheld.contract.model import Contract, Operation, RateRule
from upheld.contract.units import quota

_UNITS = {1.0: "s", 60.0: "min", 3600.0: "h", 86400.0: "day"}
_KEYS = (
    (r"user.?or.?ip|ip.?or.?user", "user-or-ip"),
    (r"\b(ip|address|client)\b", "ip"),
    (r"\b(user|account|identity)\b", "user"),
    (r"api.?key", "api_key"),
)
_WHOLE = re.compile(
    r"^(?P<count>\d+)\s*(?:req(?:uest)?s?|calls?|attempts?|logins?)?\s*(?:/|per|an?|every|in)\s*"
    r"(?P<many>\d+)?\s*(?P<unit>s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:ours?)?|d(?:ays?)?)\b(?P<rest>.*)$"
)


def read_rate(text: str, default_key: str) -> tuple[int, float, str] | None:
    """(requests, seconds of the window, key); None for what is no quota."""
    found = _WHOLE.match(" ".join(text.lower().split()))
    if found is None:
        return None
    try:
        count, window = quota(f"{found['count']}/{found['many'] or ''}{found['unit'][0]}")
    except ValueError:
        return None
    key = next((key for pattern, key in _KEYS if re.search(pattern, found["rest"])), default_key)
    return count, window, key


def written(rule: RateRule) -> str:
    """``10/min per ip``."""
    window = _UNITS.get(rule.window) or f"{rule.window:g}s"
    return f"{rule.quota}/{window} per {rule.key}"


def rule_for(contract: Contract, operation: Operation, claim: str) -> RateRule | None:
    """The contract's own rule where the claim says the same, else a rule that says what is claimed; None for what is no quota."""
    own = contract.rate_rule(operation)
    read = read_rate(claim, own.key if own else "ip")
    if read is None:
        return None
    if own is not None and (own.quota, own.window, own.key) == read:
        return own
    count, window, key = read
    algorithm = own.algorithm if own else "any"
    return RateRule(operation.label, count, window, key, algorithm=algorithm)


def with_rules(contract: Contract, rules: list[RateRule]) -> Contract:
    """The contract in which these come first."""
    return replace(contract, rate_rules=(*rules, *contract.rate_rules)) if rules else contract
