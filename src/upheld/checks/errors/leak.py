"""Errors show nothing of the inside: no stack trace, no SQL, no path of a source file, no secret.

## What it requires
No answer from 400 on holds a stack trace (Python, Java, Node, Go, .NET, PHP, Ruby), the words of a database driver, a path of the
server's file system, a debugger's page, a password hash, a JSON Web Token, a private key or a cloud access key.

## Why
Such texts tell an attacker which versions to look up, how tables and files are called, and sometimes hand over a credential
(CWE-209). They get into answers by handlers that send `str(error)`.

## What it sends
Nothing. It searches every error of the whole run. What the request itself contained is taken out first, so that an echoed value is
never mistaken for a leak.

## Example of a breach
`409 {"detail": "duplicate key value violates unique constraint \\"users_email_key\\""}`.

## When to waive it
When a text only looks internal, list it: `leak: {allow: ["^/app/terms"]}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from upheld.check import MUST, Clause, Example, Finding, Kept, Outcome, Requirement, seen
from upheld.exchange import Exchange, Request, Response
from upheld.steps import PROBLEM, maker

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="errors show nothing of the inside of the service",
    level=MUST,
    clause=Clause(
        "RFC 9457 §5",
        "https://www.rfc-editor.org/rfc/rfc9457#section-5",
        "avoid making implementation details such as a stack dump available through the HTTP interface",
    ),
    catalogue=("ERR-10",),
    reads=("leak.allow",),
    scope="service",
    owasp="API8:2023",
    cwe=("CWE-209",),
)

# What it is → (words without which it can't be there, which are looked for first; what it looks like).
# In JSON a quote is written \" and a line feed \n, so both forms are looked for.
_LEAKS: dict[str, tuple[tuple[str, ...], re.Pattern[str]]] = {
    "a Python stack trace": (
        ("Traceback", "File "),
        re.compile(r"Traceback \(most recent call last\)|File \\?\"[^\"\n]{1,200}\\?\", line \d+"),
    ),
    "a Java stack trace": (
        (".java:", ".kt:", ".scala:", ".groovy:", "(Native Method)"),
        re.compile(r"\bat [\w$.<>]{3,200}\((?:[\w$]{1,80}\.(?:java|kt|scala|groovy):\d+|Native Method)\)"),
    ),
    "a JavaScript stack trace": (
        ("js:", "ts:"),
        re.compile(r"\bat [^\n]{0,120}?\(?(?:/|file:|node:|[A-Z]:\\)[^\n\s]{1,200}\.[cm]?[jt]s:\d+:\d+"),
    ),
    "a Go stack trace": (("goroutine ",), re.compile(r"goroutine \d+ \[\w[\w ,]*\]:")),
    "a .NET stack trace": (
        (":line ",),
        re.compile(r"\bat [\w.`]{3,200}\([^)\n]{0,200}\) in [^\n]{1,200}:line \d+"),
    ),
    "a PHP stack trace": (
        ("Stack trace:", ".php"),
        re.compile(r"Stack trace:(?:\\n|\s)*#0 |\.php(?:\(\d+\)| on line \d+|:\d+)"),
    ),
    "a Ruby stack trace": ((".rb:",), re.compile(r"\.rb:\d+:in [`']")),
    "the words of a database or its driver": (
        ("SQL", "sql", "psycopg", "asyncpg", "ORA-", "PG::", "org.", "Sequelize", "Prisma", "constraint", "syntax error at", "E11000",
         "SELECT", "INSERT", "DELETE FROM", "UPDATE"),
        re.compile(
            r"SQLSTATE|\bpsycopg\d?\b|\bsqlalchemy\.|\basyncpg\.|\bsqlite3\.\w|\bORA-\d{5}\b|\bPG::\w"
            r"|\borg\.(?:postgresql|hibernate)\.|\bcom\.mysql\.|\bpymysql\.|Sequelize\w+Error|PrismaClient\w+Error"
            r"|violates (?:unique|foreign key|check|not-null) constraint|(?:UNIQUE|FOREIGN KEY|NOT NULL) constraint failed"
            r"|syntax error at or near|error in your SQL syntax|E11000 duplicate key"
            r"|\b(?:SELECT\s[^\n]{1,400}?\sFROM|INSERT INTO\s+[\w\"`.\\]+\s*\(|DELETE FROM\s+[\w\"`.\\]+\s+WHERE"
            r"|UPDATE\s+[\w\"`.\\]+\s+SET)\s"
        ),
    ),
    "a path of the server's file system": (
        (".py", "js", "ts", ".ja", ".rb", ".go", ".php", ".so", ".cs", ".dll", ".conf", ".ini", ".env", "-packages", "node_modules", ":\\"),
        re.compile(
            r"(?<![\w./:-])/(?:app|usr|home|var|opt|srv|root|etc|tmp|code|workspace|Users)/[\w@.+/-]{0,200}"
            r"(?:\.(?:py|pyc|js|mjs|ts|java|jar|rb|go|php|so|cs|dll|conf|ini|env)\b|/(?:site-packages|node_modules|dist-packages)\b)"
            r"|\b[A-Z]:\\\\?(?:Users|Windows|Program Files|inetpub|projects|src|app)\\\\?[\w .-]{1,60}"
        ),
    ),
    "a debugger's page": (
        ("Debugger", "DEBUG", "Whoops", "Action Controller"),
        re.compile(
            r"Werkzeug Debugger|You're seeing this error because you have <code>DEBUG = True|<title>[^<]{0,80}Whoops!"
            r"|Action Controller: Exception"
        ),
    ),
    "a password hash": (
        ("$2", "$argon2", "pbkdf2_sha", "$scrypt"),
        re.compile(r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}|\$argon2(?:id|i|d)\$v=|\bpbkdf2_sha\d+\$\d+\$|\$scrypt\$ln="),
    ),
    "a JSON Web Token": (("eyJ",), re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,}")),
    "a private or access key": (
        ("AKIA", "ASIA", "PRIVATE KEY"),
        re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----"),
    ),
}  # fmt: skip
_BOUND = 65536
_MEANT_FOR_CLIENTS = frozenset({"set-cookie", "location", "link", "content-security-policy"})


def observe(exchange: Exchange, contract: Contract) -> Outcome | None:
    request, response = exchange.request, exchange.response
    if response.status < 400:
        return None
    fields = "\n".join(value for name, value in response.headers.pairs if name.lower() not in _MEANT_FOR_CLIENTS)
    allowed = _compiled(contract.policy.leak.allow)
    for name, text in _found(f"{response.text[:_BOUND]}\n{fields}"):
        if any(pattern.search(text) for pattern in allowed) or _was_sent(text, request):
            continue
        return Finding(
            expected="an error that says what the client can do, and nothing of the inside",
            actual=f"{response.status} from {maker(request, response)} with {name}: {' '.join(text.split())[:120]!r}",
            origin=f"{name} in errors from {maker(request, response)}",
            request=request,
        )
    return Kept()


def _found(text: str) -> Iterator[tuple[str, str]]:
    """(what it is, the text that shows it)"""
    for name, (words, pattern) in _LEAKS.items():
        if any(word in text for word in words):
            for found in pattern.finditer(text):
                yield name, found[0]


def _was_sent(text: str, request: Request) -> bool:
    """The request held this text itself, perhaps escaped: to repeat it tells nothing new."""
    credentials = "\n".join(value for _, value in (request.session.headers if request.session else ()))
    fields = "\n".join(value for _, value in request.headers.pairs)
    target = unquote_to_bytes(request.target.replace("+", " ")).decode("utf-8", "replace")
    body = (request.body or b"")[: 4 * _BOUND].decode("utf-8", "replace")
    sent = f"{request.target}\n{target}\n{fields}\n{credentials}\n{body}"
    plain = text.replace('\\"', '"').replace("\\\\", "\\")
    return text in sent or plain in sent or plain in sent.replace('\\"', '"').replace("\\\\", "\\")


@lru_cache(maxsize=64)
def _compiled(patterns: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern) for pattern in patterns)


def _sent(detail: str, status: int = 500) -> Response:
    document = {"type": "about:blank", "title": "Error", "status": status, "detail": detail}
    return Response.of(status, document, content_type=PROBLEM)


_ITEMS = "/api/v1/items"
_HASH = "$2b$12$" + "N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"
_TRACE = 'Traceback (most recent call last):\n  File "/app/main.py", line 7, in read\nKeyError'

CONFORMING = (
    Example("a problem", seen("GET", _ITEMS, Response.problem(404))),
    Example("a path of the API in instance", seen("GET", _ITEMS, _sent("no /app/orders/7 or /home/lamps here", 404))),
    Example("an enumeration on lines", seen("GET", _ITEMS, _sent("Option A:\nname\nprice", 422))),
    Example("a sentence with the words of SQL", seen("GET", _ITEMS, _sent("Select a date from the list.", 422))),
    Example(
        "an echo of what was sent",
        seen("POST", _ITEMS, _sent("'/etc/app/x.py' is no name", 422), body=b'{"name": "/etc/app/x.py"}'),
    ),
    Example(
        "allowed by the contract",
        seen("GET", _ITEMS, _sent("see /app/terms.py", 404)),
        policy={"leak": {"allow": ["^/app/terms"]}},
    ),
)
BREACHING = (
    Example("a Python trace", seen("GET", _ITEMS, _sent(_TRACE))),
    Example("a Java frame", seen("GET", _ITEMS, _sent("at com.shop.Items.read(Items.java:41)"))),
    Example("a Node frame", seen("GET", _ITEMS, _sent("at read (/srv/shop/items.js:12:9)"))),
    Example("PostgreSQL", seen("GET", _ITEMS, _sent('duplicate key value violates unique constraint "u_key"', 409))),
    Example("a statement", seen("GET", _ITEMS, _sent("[SQL: SELECT users.id FROM users WHERE id = ?]"))),
    Example("a Windows path", seen("GET", _ITEMS, _sent(r"cannot open C:\inetpub\shop\web.config"))),
    Example("a file", seen("GET", _ITEMS, _sent("cannot open /usr/lib/python3.11/site-packages/shop/db.py"))),
    Example("a password hash", seen("GET", _ITEMS, _sent(f"user has {_HASH}", 422))),
    Example("an access key", seen("GET", _ITEMS, _sent("AKIAABCDEFGHIJKLMNOP was refused", 502))),
)
