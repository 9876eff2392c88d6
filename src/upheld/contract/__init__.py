"""The contract of one service: an OpenAPI document and upheld.yaml, read into one frozen model."""

from upheld.contract.model import (
    Auth,
    Body,
    Contract,
    Inference,
    Operation,
    Paging,
    Parameter,
    RateRule,
    Resource,
    ResponseSpec,
    Step,
)

__all__ = [
    "Auth",
    "Body",
    "Contract",
    "Inference",
    "Operation",
    "Paging",
    "Parameter",
    "RateRule",
    "Resource",
    "ResponseSpec",
    "Step",
]
