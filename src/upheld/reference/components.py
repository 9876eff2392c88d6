"""Everything that is made once an application, wired together. The seams that mutants use are its fields."""

from __future__ import annotations

import os
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from .core.cache import Cache, MemoryStore, RedisStore, Store
from .core.clients import Clients
from .core.clock import Clock
from .core.cors import CorsPolicy
from .core.headers import HeaderPolicy
from .core.problems import ProblemRenderer
from .core.rate_limit import Limiter, rules
from .core.redis_link import RedisLink
from .core.security import ApiKeyCodec, PasswordHasher, TokenCodec
from .core.settings import Settings
from .core.token_bucket import MemoryTokenBuckets, RedisTokenBuckets, TokenBucket
from .middleware.admission import CredentialReader
from .services.accounts import Accounts
from .services.api_keys import ApiKeys
from .services.maintenance import Maintenance
from .services.oauth import OAuth
from .services.orders import Orders
from .services.products import Products
from .services.sessions import Sessions
from .unit_of_work import UnitsOfWork

PREFIX = "/api/v1"
HEALTH = "/health"


@dataclass
class Components:
    settings: Settings
    clock: Clock
    renderer: ProblemRenderer
    headers: HeaderPolicy
    cors: CorsPolicy
    redis: RedisLink | None
    store: Store
    cache: Cache
    limiter: Limiter
    hasher: PasswordHasher
    tokens: TokenCodec
    api_key_codec: ApiKeyCodec
    clients: Clients
    credentials: CredentialReader
    database: async_sessionmaker[AsyncSession]
    """Bound to an engine when the application starts."""
    accounts: Accounts
    sessions: Sessions
    oauth: OAuth
    api_keys: ApiKeys
    products: Products
    orders: Orders
    maintenance: Maintenance


def assemble(settings: Settings) -> Components:
    """Make the parts. Nothing is opened yet."""
    clock = Clock()
    redis = RedisLink(settings.redis_url, settings.redis_timeout, clock) if settings.redis_url else None
    store: Store = RedisStore(redis) if redis else MemoryStore(clock)
    buckets = RedisTokenBuckets(redis.url, redis.pool) if redis else MemoryTokenBuckets(clock)
    cache = Cache(store, settings.cache_ttl)
    hasher = PasswordHasher(settings.bcrypt_cost, threads=os.cpu_count() or 1)
    tokens = TokenCodec(settings, clock)
    api_key_codec = ApiKeyCodec(settings)
    database = async_sessionmaker(class_=AsyncSession, expire_on_commit=False)
    units = UnitsOfWork(database)
    clients = Clients(settings)
    sessions = Sessions(units, hasher, tokens, api_key_codec, clients, clock)
    return Components(
        settings=settings,
        clock=clock,
        renderer=ProblemRenderer(),
        headers=HeaderPolicy(),
        cors=CorsPolicy(settings.cors_origins, settings.cors_max_age),
        redis=redis,
        store=store,
        cache=cache,
        limiter=Limiter(TokenBucket(buckets), rules(settings, PREFIX), frozenset({HEALTH}), redis),
        hasher=hasher,
        tokens=tokens,
        api_key_codec=api_key_codec,
        clients=clients,
        credentials=CredentialReader(tokens, api_key_codec),
        database=database,
        accounts=Accounts(units, hasher, clock),
        sessions=sessions,
        oauth=OAuth(units, sessions, tokens, clients, clock, settings.oauth_code_ttl),
        api_keys=ApiKeys(units, api_key_codec, clock),
        products=Products(units, cache, clock),
        orders=Orders(units, cache, clock, settings.idempotency_ttl),
        maintenance=Maintenance(store, clock),
    )
