"""Products: read through the cache, written past it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy.exc import IntegrityError

from upheld.reference.core.cache import Cache
from upheld.reference.core.clock import Clock
from upheld.reference.core.problems import CONFLICT, STALE, Problem
from upheld.reference.models import Product
from upheld.reference.repositories.products import ProductFilter
from upheld.reference.schemas.products import ProductIn, ProductOut, ProductPage, ProductPatch
from upheld.reference.unit_of_work import UnitOfWork, UnitsOfWork

LISTS = "products"
"""The cache tag of everything that is computed over all products."""

Precondition = Callable[[str | None], bool]
"""Whether a write may go on, given the current entity tag (None: there is no such product)."""


@dataclass(frozen=True)
class Representation:
    """What is sent: the JSON and its entity tag, so that a cached answer is the same octets and the same tag."""

    body: bytes
    etag: str


def tag_of(product_id: UUID) -> str:
    return f"product:{product_id}"


class Products:
    def __init__(self, units: UnitsOfWork, cache: Cache, clock: Clock) -> None:
        self.units = units
        self.cache = cache
        self.clock = clock

    async def get(self, product_id: UUID) -> Representation:
        async def load() -> bytes | None:
            async with self.units.reading() as uow:
                product = await uow.products.get(product_id)
                return None if product is None else _pack(self.represent(product))

        packed = await self.cache.remember(tag_of(product_id), "item", load)
        if packed is None:
            raise Problem.of_status(404)
        return _unpack(packed)

    async def page(self, wanted: ProductFilter) -> Representation:
        async def load() -> bytes:
            async with self.units.reading() as uow:
                rows, total = await uow.products.page(wanted)
                items = [ProductOut.model_validate(row) for row in rows]
            page = ProductPage(items=items, total=total, limit=wanted.limit, offset=wanted.offset)
            body = page.model_dump_json().encode()
            return _pack(Representation(body, f'"{hashlib.sha256(body).hexdigest()[:20]}"'))

        packed = await self.cache.remember(LISTS, repr(wanted), load)
        assert packed is not None  # load gives bytes
        return _unpack(packed)

    async def create(self, given: ProductIn) -> tuple[UUID, Representation]:
        now = self.clock.now()
        product = Product(id=uuid4(), version=1, created_at=now, updated_at=now, **given.model_dump())
        async with self.units.writing() as uow:
            uow.products.add(product)
            await _flush(uow)
            answer = self.represent(product)
            await uow.commit()
        await self.cache.invalidate(LISTS, tag_of(product.id))
        return product.id, answer

    async def replace(self, product_id: UUID, given: ProductIn, precondition: Precondition) -> Representation:
        return await self._write(product_id, given.model_dump(), precondition)

    async def change(self, product_id: UUID, patch: ProductPatch, precondition: Precondition) -> Representation:
        return await self._write(product_id, patch.model_dump(exclude_unset=True), precondition)

    async def delete(self, product_id: UUID, precondition: Precondition) -> None:
        async with self.units.writing() as uow:
            product = await self._current(uow, product_id, precondition)
            await uow.products.delete(product)
            await uow.commit()
        await self.cache.invalidate(LISTS, tag_of(product_id))

    def represent(self, product: Product) -> Representation:
        return Representation(ProductOut.model_validate(product).model_dump_json().encode(), self.etag(product))

    def etag(self, product: Product) -> str:
        """Strong: the version counts every change, those of the stock too."""
        return f'"{product.version}"'

    async def _write(self, product_id: UUID, values: dict[str, object], precondition: Precondition) -> Representation:
        async with self.units.writing() as uow:
            product = await self._current(uow, product_id, precondition)
            changed = {name: value for name, value in values.items() if getattr(product, name) != value}
            for name, value in changed.items():
                setattr(product, name, value)
            if changed:  # the same PUT twice is one change
                product.version += 1
                product.updated_at = self.clock.now()
            await _flush(uow)
            answer = self.represent(product)
            await uow.commit()
        await self.cache.invalidate(LISTS, tag_of(product_id))
        return answer

    async def _current(self, uow: UnitOfWork, product_id: UUID, precondition: Precondition) -> Product:
        # In the transaction and with the row locked: between the comparison and the write nothing comes.
        product = await uow.products.get(product_id, for_update=True)
        # RFC 9110 §13.1.1: the method MUST NOT be performed when the condition is false.
        if not precondition(None if product is None else self.etag(product)):
            raise Problem(STALE)
        if product is None:
            raise Problem.of_status(404)
        return product


async def _flush(uow: UnitOfWork) -> None:
    try:
        await uow.flush()
    except IntegrityError:
        raise Problem(CONFLICT, "A product with this SKU exists already.") from None


def _pack(representation: Representation) -> bytes:
    return representation.etag.encode() + b"\n" + representation.body


def _unpack(packed: bytes) -> Representation:
    etag, _, body = packed.partition(b"\n")
    return Representation(body, etag.decode())
