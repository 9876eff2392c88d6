"""Tables."""

from .account import ApiKey, Session, User
from .base import Base
from .oauth import AuthorizationCode
from .order import IdempotencyRecord, Order, OrderItem
from .product import Product

__all__ = [
    "ApiKey",
    "AuthorizationCode",
    "Base",
    "IdempotencyRecord",
    "Order",
    "OrderItem",
    "Product",
    "Session",
    "User",
]
