"""Products."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict

from .base import Closed, Description, Instant, JsonInteger, Title, Uuid

Category = Literal["books", "games", "garden", "kitchen", "music"]
Sort = Literal["name", "-name", "price_cents", "-price_cents", "created_at", "-created_at"]
MAX_PRICE_CENTS = 10_000_000
MAX_STOCK = 1_000_000

Sku = Annotated[str, StringConstraints(min_length=3, max_length=40, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]+$")]
Price = Annotated[int, Field(ge=0, le=MAX_PRICE_CENTS), JsonInteger]
Stock = Annotated[int, Field(ge=0, le=MAX_STOCK), JsonInteger]
_EXAMPLE: JsonDict = {"sku": "TEA-0001", "name": "Teapot", "category": "kitchen", "price_cents": 2495, "stock": 100}


class ProductIn(Closed):
    """A whole product: what is left out of a PUT is reset."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    sku: Sku = Field(description="Unique.")
    name: Title
    description: Description | None = None
    category: Category
    price_cents: Price
    stock: Stock = 0


class ProductPatch(Closed):
    """Only the properties that are sent change. Null removes the description."""

    model_config = ConfigDict(json_schema_extra={"example": {"price_cents": 1995}})

    # Factories, so that the schema shows no defaults: there are none, see the fields that were set.
    sku: Sku = Field(default_factory=str, description="Unique.")
    name: Title = Field(default_factory=str)
    description: Description | None = None
    category: Category = Field(default_factory=lambda: "books")
    price_cents: Price = Field(default_factory=int)
    stock: Stock = Field(default_factory=int)


class ProductOut(Closed):
    id: Uuid
    sku: str = Field(max_length=40)
    name: str = Field(max_length=200)
    description: str | None = Field(max_length=2000)
    category: Category
    price_cents: int = Field(ge=0, le=MAX_PRICE_CENTS)
    stock: int = Field(ge=0)
    created_at: Instant
    updated_at: Instant


class ProductPage(Closed):
    items: list[ProductOut] = Field(max_length=100)
    total: int = Field(ge=0)
    limit: int = Field(ge=1, le=100)
    offset: int = Field(ge=0)
