"""Tables."""

from .account import ApiKey, Session, User
from .base import Base
from .order import IdempotencyRecord, Order, OrderItem
from .product import Product

__all__ = ["ApiKey", "Base", "IdempotencyRecord", "Order", "OrderItem", "Product", "Session", "User"]
