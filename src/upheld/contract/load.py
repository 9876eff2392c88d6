"""From files to a `Contract`: reads upheld.yaml and the OpenAPI document and tells everything that is wrong at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upheld.contract.model import Contract
from upheld.contract.source import Located, read
from upheld.errors import ContractError, Place

if TYPE_CHECKING:
    from upheld.contract.baseline import Known
    from upheld.contract.policy import Policy
    from upheld.contract.wfc import Imported

NAMES = ("upheld.yaml", "upheld.yml")
DOCUMENTS = ("openapi.yaml", "openapi.yml", "openapi.json")


@dataclass(frozen=True)
class PolicyFile:
    """upheld.yaml alone, and where its OpenAPI document lies."""

    policy: Policy
    written: Located
    folder: Path
    document_file: Path | None
    """The document as a file; None when the target serves it."""
    document_served: str | None
    """Path on the target, or a whole URL; None when it is a file."""


def find(paths: Iterable[str | Path] = ()) -> tuple[Path, ...]:
    """The upheld.yaml files that these files and folders stand for; without any, those of ``contracts/*/`` and of here.

    Raises `ContractError` for a path that holds none.
    """
    given = [Path(path) for path in paths]
    found: list[Path] = []
    for path in given or [Path()]:
        here = _in(path)
        if not here:
            where = f"{path}: no upheld.yaml here" if given else "no upheld.yaml here, nor in contracts/*/"
            raise ContractError(
                (Place(str(path)), f"{where}; `upheld init` begins one from a URL or an OpenAPI document")
            )
        found += here
    return tuple(dict.fromkeys(found))


def _in(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    for name in NAMES:
        if (path / name).is_file():
            return [path / name]
    return sorted(file for pattern in ("*", "contracts/*") for name in NAMES for file in path.glob(f"{pattern}/{name}"))


def policy_only(path: str | Path) -> PolicyFile:
    """Read upheld.yaml, not its document. Raises `ContractError`."""
    file = find([path])[0]
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ContractError((Place(str(file)), f"cannot be read: {error.strerror}")) from error
    written = read(data, str(file))
    policy = parse_policy(written)
    folder = file.parent
    document, served = policy.openapi.file, policy.openapi.served
    if document is None and served is None:
        document = next((name for name in DOCUMENTS if (folder / name).is_file()), None)
        served = None if document else policy.target.served_spec or "/openapi.json"
    return PolicyFile(policy, written, folder, folder / document if document else None, served)


def load_section(file: Path) -> dict[str, Any]:
    """What a file that says nothing but ``load:`` says there. Raises `ContractError`."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ContractError((Place(str(file)), f"cannot be read: {error.strerror}")) from error
    alone = read(data, str(file))
    if not isinstance(alone.value, Mapping) or set(alone.value) != {"load"}:
        raise ContractError((alone.place(), "a profile has one key, load: {rate: 20/s, duration: 15s}"))
    # At its end, so that lines keep their numbers.
    policy = parse_policy(read(data + b"\nupheld: 1\n", str(file)))
    return {name: getattr(policy.load, name) for name in policy.load.model_fields_set}


def load(
    path: str | Path,
    *,
    openapi_bytes: bytes | str | None = None,
    target_url: str | None = None,
    known: tuple[Known, ...] = (),
) -> Contract:
    """Read a contract: a folder or its upheld.yaml.

    ``openapi_bytes`` is the document where the target serves it. ``target_url`` replaces the one in the file. ``known`` are the
    waivers of a baseline. Raises `ContractError` with every problem of the file that has one.
    """
    from upheld.contract.assemble import assemble

    part = policy_only(path)
    if openapi_bytes is not None:
        shown = str(part.document_file or part.document_served)
        document = read(openapi_bytes, shown)
    elif part.document_file is not None:
        try:
            data = part.document_file.read_bytes()
        except OSError as error:
            place = part.written.place(["openapi"])
            raise ContractError((place, f"openapi: {part.document_file} cannot be read: {error.strerror}")) from error
        document = read(data, str(part.document_file))
    else:
        sentence = f"the OpenAPI document is served by the target ({part.document_served}) and has not been fetched"
        raise ContractError((part.written.place(["openapi"]), sentence))
    return assemble(
        part.policy,
        document,
        name=part.folder.resolve().name,
        written=part.written,
        folder=part.folder,
        target_url=target_url,
        known=known,
    )


def from_parts(
    policy: Mapping[str, Any], document: Mapping[str, Any], name: str = "contract", *, target_url: str | None = None
) -> Contract:
    """A contract from values instead of files. ``policy`` needs no ``upheld: 1``. Raises `ContractError`."""
    from upheld.contract.assemble import assemble

    written = Located({"upheld": 1, **policy}, "upheld.yaml")
    return assemble(
        parse_policy(written),
        Located(dict(document), "openapi.yaml"),
        name=name,
        written=written,
        target_url=target_url,
    )


def parse_policy(written: Located) -> Policy:
    """The model of a file that has been read, the standard laid under it where it asks for that."""
    from pydantic import ValidationError

    from upheld.contract.policy import Policy
    from upheld.contract.problems import from_validation

    value = written.value
    if not isinstance(value, dict) or not value:
        raise ContractError((Place(written.file, 1), "is empty; it begins with 'upheld: 1'"))
    if "upheld" not in value:
        raise ContractError((Place(written.file, 1), "has no 'upheld: 1', the version of its format"))
    laid = merge(standard(), value) if value.get("extends") == "standard" else value
    laid, imported = _identities_apart(laid, written)
    try:
        policy = Policy.model_validate(laid)
    except ValidationError as error:
        raise ContractError(*from_validation(error, Policy, written)) from None
    if imported is None:
        return policy
    from upheld.contract.wfc import laid_over

    identities, imported = laid_over(imported, policy.identities, written)
    return policy.with_imported(imported, identities)


def _identities_apart(laid: dict[str, Any], written: Located) -> tuple[dict[str, Any], Imported | None]:
    """The file without the name of a WFC file under ``identities``, and what that holds."""
    said = laid.get("identities")
    path = ["identities"] if isinstance(said, str) else ["identities", "extends"]
    file = said.get("extends") if isinstance(said, dict) else said
    if not isinstance(file, str) or not file:
        return laid, None
    from upheld.contract.wfc import import_identities, texts_in

    own = {name: line for name, line in said.items() if name != "extends"} if isinstance(said, dict) else {}
    laid = {**laid, "identities": own}
    found = Path(written.file).parent / file
    return laid, import_identities(found, written.place(path), taken=texts_in(laid))


_standard: dict[str, Any] | None = None


def standard() -> dict[str, Any]:
    """The house standard as plain values."""
    global _standard
    if _standard is None:
        text = resources.files("upheld.contract").joinpath("standard.yaml").read_text("utf-8")
        _standard = read(text, "standard.yaml").value
    assert _standard is not None
    return _standard


def merge(under: Any, over: Any) -> Any:
    """Mappings are laid together key by key; everything else, lists too, is replaced."""
    if isinstance(under, dict) and isinstance(over, dict):
        return {**under, **{key: merge(under[key], value) if key in under else value for key, value in over.items()}}
    return over
