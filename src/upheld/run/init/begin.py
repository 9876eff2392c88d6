"""From the address or the document of a service to the first files of its contract.

Nothing is written before everything is known and the file that comes of it has been read back.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from upheld.contract.assemble import assemble
from upheld.contract.load import parse_policy
from upheld.contract.source import read
from upheld.errors import TargetUnreachable, UsageError
from upheld.exchange import Request
from upheld.report.mask import Masker
from upheld.run.init.document import Document, from_file, from_service
from upheld.run.init.draft import Address, Doors, draft
from upheld.run.init.people import Ask, People, people, public, silent, slug
from upheld.run.init.signs import ORIGIN, Look, Sign, open_reads, refusable, signs
from upheld.run.init.visitor import Visitor, origin_of, visiting
from upheld.run.init.written import flow
from upheld.targets.url import checked, is_loopback

if TYPE_CHECKING:
    from upheld.contract import Contract

FIRST = "upheld: 1\n"
_NO_NAME = frozenset(
    {"api", "rest", "openapi", "service", "the", "documentation", "specification", "fastapi", "swagger"}
)


@dataclass(frozen=True)
class Beginning:
    """The files of a contract, not yet written, and what there is to say of them."""

    files: Mapping[Path, str]
    folder: Path
    contract: Contract
    """As the new files say it."""
    document: Document
    people: People
    signs: tuple[Sign, ...]
    sent: int
    unknown: tuple[str, ...]
    """What could not be found out, and where it goes."""
    host: str | None
    """The host that a check has to be allowed; None for this machine, and where it is not known."""


def begin(
    source: str,
    *,
    ask: Ask,
    target: str | None = None,
    folder: Path | None = None,
    allow_hosts: Iterable[str] = (),
    fields: Mapping[str, str] | None = None,
    tell: Callable[[str], object] = lambda line: None,
) -> Beginning:
    """Find out what can be found out. ``source`` is a URL or a file, ``fields`` go with requests for the document alone.

    Raises `UsageError` (a file is there already, a host that is not allowed), `ContractError`, `TargetError`.
    """
    allowed = set(allow_hosts)
    if re.match(r"https?://", source):
        if folder is not None:
            check_free(folder)
        for url in filter(None, (source.partition("?")[0], target)):
            checked(url, allowed)
        tell(f"looking for the document at {Masker()(source)}")
        with visiting(source) as visitor:
            document = from_service(visitor, source.rstrip("/"), fields or {})
            address = target or document.address
            if address and urlsplit(address).netloc != urlsplit(source).netloc:
                with visiting(address) as other:
                    return _begin(document, address, folder, ask, other, before=visitor.sent)
            base = urlsplit(source).path.rstrip("/")
            also = None if target or document.where == source else f"{visitor.origin}{base}"
            return _begin(document, address, folder, ask, visitor, also=also)
    path = Path(source)
    if folder is None and path.stem == "openapi" and path.parent.parent.name == "contracts":
        folder = path.parent
    document = from_file(path, folder)
    if folder is not None:
        check_free(folder, alone=document.in_place)
    return _of_file(document, target, folder, ask, allowed)


def _of_file(document: Document, target: str | None, folder: Path | None, ask: Ask, allowed: set[str]) -> Beginning:
    here = document.address is not None and is_loopback(urlsplit(document.address).hostname or "")
    address = target or ask("Where does it run", document.address or "") or (document.address if here else None)
    if address is None:
        return _begin(document, None, folder, ask, None)
    if address == document.address and not here:
        # A server that the document names may be anybody's: it is written down, and not visited.
        return _begin(document, address, folder, ask, None)
    address = checked(address, allowed)
    with visiting(address) as visitor:
        try:
            return _begin(document, address, folder, ask, visitor)
        except TargetUnreachable:
            if target is not None:
                raise
    return _begin(document, address, folder, ask, None)


def _begin(
    document: Document,
    address: str | None,
    folder: Path | None,
    ask: Ask,
    visitor: Visitor | None,
    *,
    also: str | None = None,
    before: int = 0,
) -> Beginning:
    seen = _looked(_Seen(_read(document, address), address), document, visitor, also)
    contract, address = seen.contract, seen.address
    name = _name(document, address)
    folder = folder or Path("contracts") / name
    file = Path(document.where).name if document.in_place else "openapi.yaml"
    check_free(folder, alone=document.in_place)
    doors, assumed = _doors(document, seen, ask)
    who = people(assumed, name, ask)
    place = _place(document, address)
    text = draft(
        assumed if doors.in_force else contract, who, seen.signs, place, doors, folder=str(folder), document=file
    )
    files = {} if document.in_place else {folder / file: document.text}
    files[folder / "upheld.yaml"] = text
    host = urlsplit(place.url).hostname if place.url and place.in_force else None
    return Beginning(
        files,
        folder,
        _read(document, address, text, folder),
        document,
        who,
        seen.signs,
        before + (visitor.sent if visitor else 0),
        tuple(_unknown(seen, place, doors, who)),
        None if host is None or is_loopback(host) else host,
    )


@dataclass(frozen=True)
class _Seen:
    contract: Contract
    address: str | None
    looks: tuple[Look, ...] = ()
    refused: Look | None = None

    @property
    def missing(self) -> bool:
        """Nothing is where the document says."""
        asked = [found for found in (*self.looks, self.refused) if found is not None and found.operation is not None]
        return bool(asked) and all(found.response.status == 404 for found in asked)

    @property
    def signs(self) -> tuple[Sign, ...]:
        return () if self.missing else signs(self.contract, self.looks, self.refused)


def _looked(seen: _Seen, document: Document, visitor: Visitor | None, also: str | None) -> _Seen:
    if visitor is None or seen.address is None:
        return seen
    first = look(visitor, seen.contract, seen.address)
    if not first.missing or not also:
        return first
    other = look(visitor, _read(document, also), also)
    return first if other.missing else other


def _doors(document: Document, seen: _Seen, ask: Ask) -> tuple[Doors, Contract]:
    """Who may come in by a document that does not say it, and the contract in which all else is closed."""
    if not (why := silent(seen.contract)):
        return Doors(), seen.contract
    answered = [found.label for found in seen.looks if found.response.ok]
    open_to_all = tuple(public(seen.contract, answered))
    if not open_to_all:
        return Doors(), seen.contract
    assumed = _read(document, seen.address, f"{FIRST}public: {flow(open_to_all)}\n")
    question = f"{why}. Do all but {', '.join(open_to_all)} ask for them? yes or no"
    return Doors(open_to_all, why, ask(question, "yes").lower().startswith("y")), assumed


def _place(document: Document, address: str | None) -> Address:
    if address is None:
        return Address(document.address, None, is_loopback(urlsplit(document.address or "").hostname or ""))
    return Address(address, document.served if origin_of(address) == origin_of(document.where) else None)


def _unknown(seen: _Seen, place: Address, doors: Doors, who: People) -> Iterator[str]:
    if seen.missing:
        yield f"every GET was answered with 404: a base path belongs into target.url ({seen.address})"
    if not place.in_force:
        yield "where it runs: target.url"
    if doors.public and not doors.in_force:
        yield f"who may come in: public ({doors.why})"
    if not who.in_force:
        yield f"who signs in: identities ({who.why})"


def look(visitor: Visitor, contract: Contract, address: str) -> _Seen:
    """A few GETs that harm nobody, and one that is to be refused; none once the service asks for a pause. Raises `TargetUnreachable`."""
    root = visitor.origin
    looks = []
    for operation in open_reads(contract):
        answer = visitor.get(root + operation.path, {"Origin": ORIGIN, "Accept": "application/json"})
        if answer is not None:
            looks.append(Look(operation, Request("GET", operation.path), answer))
            if answer.status == 429 or (answer.status == 503 and "retry-after" in answer.headers):
                return _Seen(contract, address, tuple(looks))
    refused, request = refusable(contract, secrets.token_hex(6))
    answer = visitor.get(root + request.path, {"Origin": ORIGIN, "Accept": "application/json"})
    return _Seen(contract, address, tuple(looks), Look(refused, request, answer) if answer is not None else None)


def check_free(folder: Path, *, alone: bool = False) -> None:
    """Raises `UsageError` where the folder holds a contract; ``alone``: only upheld.yaml will be written."""
    from upheld.contract.load import DOCUMENTS, NAMES

    for name in (*NAMES, *(() if alone else DOCUMENTS)):
        if (folder / name).exists():
            raise UsageError(
                f"{folder / name} exists, and nothing is overwritten; `--output FOLDER` puts the contract elsewhere"
            )
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is no folder; `--output FOLDER` puts the contract elsewhere")


def write(beginning: Beginning) -> None:
    """Write the files, all or none. Raises `UsageError` where one is there by now, or the folder can't be written to."""
    made: list[Path] = []
    folders = [folder for folder in (beginning.folder, *beginning.folder.parents) if not folder.exists()]
    try:
        beginning.folder.mkdir(parents=True, exist_ok=True)
        for path, text in beginning.files.items():
            with path.open("x", encoding="utf-8", newline="\n") as file:
                made.append(path)
                file.write(text)
    except BaseException as error:
        for path in made:
            path.unlink()
        for folder in folders:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        if isinstance(error, FileExistsError):
            raise UsageError(f"{error.filename} exists, and nothing is overwritten") from None
        if isinstance(error, OSError):
            raise UsageError(f"{error.filename or beginning.folder} cannot be written: {error.strerror}") from error
        raise


def _read(document: Document, address: str | None, text: str = FIRST, folder: Path | None = None) -> Contract:
    """The contract as it would be loaded. Raises `ContractError`."""
    written = read(text, str((folder or Path()) / "upheld.yaml"))
    beside = Path(document.where).parent if document.in_place else None
    located = document.located()
    return assemble(
        parse_policy(written),
        located,
        name=folder.name if folder else "contract",
        written=written,
        folder=beside,
        target_url=address,
    )


def _name(document: Document, address: str | None) -> str:
    said = [word for word in slug(document.title).split("-") if word and word not in _NO_NAME]
    host = urlsplit(address).hostname if address else None
    return "-".join(said) or slug(host or "") or "service"
