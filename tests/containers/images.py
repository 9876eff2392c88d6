"""Stand-ins for the images of Redis, PostgreSQL and Python, packed from this machine's own files: no registry, no network.

They are not the official images; they behave as those do in what the tests use. Root file systems with merged /usr, as Debian's.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import Distribution, distribution
from pathlib import Path

from docker import DockerClient
from docker.errors import ImageNotFound
from packaging.requirements import Requirement
from tests.services import Unavailable, postgres_folder, redis_program

MADE_FROM = "upheld.test.made-from"
MERGED = ("bin", "lib", "lib64", "sbin")
FOLDERS = ("usr", *(f"usr/{name}" for name in MERGED), "etc", "dev", "home", "proc", "root", "run", "sys", "var")
VENV = "opt/venv"
NOT_NEEDED = ("site-packages", "dist-packages", "ensurepip", "test", "tests", "idlelib", "tkinter")
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
SHARED_OBJECT = re.compile(r"\.so(\.[\d.]+)?$")


@dataclass(frozen=True)
class Entry:
    """A folder, unless it has a file to take, a text, or a place that it leads to."""

    mode: int = 0o755
    owner: int = 0
    file: Path | None = None
    text: str | None = None
    link: str = ""


@dataclass
class Root:
    """What is put into a root file system, by its path there."""

    users: Mapping[str, int] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    linked: list[Path] = field(default_factory=list)
    """Files of here whose shared libraries are needed too."""

    def __post_init__(self) -> None:
        for folder in FOLDERS:
            self.entries[folder] = Entry()
        self.entries |= {name: Entry(link=f"usr/{name}") for name in MERGED}
        self.entries["tmp"] = Entry(mode=0o1777)
        users = {"root": 0, **self.users}
        passwd = "".join(f"{name}:x:{number}:{number}::/:/bin/sh\n" for name, number in users.items())
        self.entries["etc/passwd"] = Entry(0o644, text=passwd)
        self.entries["etc/group"] = Entry(
            0o644, text="".join(f"{name}:x:{number}:\n" for name, number in users.items())
        )
        self.entries["etc/nsswitch.conf"] = Entry(0o644, text="hosts: files dns\n")
        self.program("/bin/sh")

    def folder(self, path: str, *, owner: int = 0) -> None:
        self._put(path, Entry(owner=owner))

    def text(self, path: str, text: str, mode: int = 0o644) -> None:
        self._put(path, Entry(mode, text=text))

    def link(self, path: str, to: str) -> None:
        self._put(path, Entry(link=to))

    def file(self, source: Path, path: str = "") -> None:
        """The file that ``source`` is or leads to."""
        real = source.resolve()
        self._put(path or str(source), Entry(0o755 if real.stat().st_mode & stat.S_IXUSR else 0o644, file=real))
        if SHARED_OBJECT.search(real.name):
            self.linked.append(real)

    def program(self, source: str | Path, path: str = "") -> None:
        """A program of here. Raises `Unavailable` for a name that is none."""
        found = shutil.which(source)
        if not found:
            raise Unavailable(f"a stand-in image needs {source}, which is not here")
        self.file(Path(found), path)
        self.linked.append(Path(found).resolve())

    def tree(self, source: Path, *, without: Iterable[str] = ()) -> None:
        """A folder of here, at the same place, without subfolders of these names and without archives for linkers."""
        left_out = set(without)
        for file in sorted(source.rglob("*")):
            if file.is_file() and file.suffix != ".a" and not left_out & set(file.relative_to(source).parts[:-1]):
                self.file(file)

    def digest(self) -> str:
        """Changes with what is packed, and with how: this file. Compiled modules follow from the others, and come and go."""
        told = hashlib.sha256(Path(__file__).read_bytes())
        for path, entry in sorted(self.entries.items()):
            if not path.endswith(".pyc"):
                at = entry.file.stat() if entry.file else None
                told.update(repr((path, entry, at and (at.st_size, at.st_mtime_ns))).encode())
        return told.hexdigest()

    def write(self, archive: tarfile.TarFile) -> None:
        for library in self._libraries():
            self.file(library)
        for path, entry in sorted(self.entries.items()):
            made = tarfile.TarInfo(path)
            made.mode, made.uid, made.gid = entry.mode, entry.owner, entry.owner
            if entry.file:
                with entry.file.open("rb") as content:
                    about = os.fstat(content.fileno())
                    # Compiled modules are good for the time of the source that they were made from.
                    made.size, made.mtime = about.st_size, int(about.st_mtime)
                    archive.addfile(made, content)
            elif entry.text is not None:
                made.size = len(entry.text.encode())
                archive.addfile(made, io.BytesIO(entry.text.encode()))
            else:
                made.type = tarfile.SYMTYPE if entry.link else tarfile.DIRTYPE
                made.linkname = entry.link
                archive.addfile(made)

    def _put(self, path: str, entry: Entry) -> None:
        parts = path.strip("/").split("/")
        if parts[0] in MERGED:
            parts.insert(0, "usr")
        for length in range(1, len(parts)):
            self.entries.setdefault("/".join(parts[:length]), Entry())
        self.entries["/".join(parts)] = entry

    def _libraries(self) -> Iterator[Path]:
        """What the loader takes from this machine for them; what they bring along is packed with them."""
        said = subprocess.run(["ldd", *map(str, dict.fromkeys(self.linked))], capture_output=True, text=True).stdout
        known = {entry.file for entry in self.entries.values()}
        for path in dict.fromkeys(re.findall(r"^\s+(?:\S+ => )?(/\S+) \(0x", said, re.MULTILINE)):
            if Path(path).resolve() not in known:
                yield Path(path)


@dataclass(frozen=True)
class Image:
    """Its name and tag, what is in it, and instructions of a Dockerfile that say how it is run."""

    repository: str
    tag: str
    root: Root
    how: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.repository}:{self.tag}"


def made(engine: DockerClient, image: Image) -> str:
    """The name of the image, which the engine has afterwards: from the last time where nothing has changed since."""
    digest = image.root.digest()
    with suppress(ImageNotFound):
        if engine.images.get(image.name).labels.get(MADE_FROM) == digest:
            return image.name
    with tempfile.NamedTemporaryFile(suffix=".tar") as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            image.root.write(archive)
        file.flush()
        changes = [*image.how, f"LABEL {MADE_FROM}={digest}"]
        engine.api.import_image_from_file(file.name, repository=image.repository, tag=image.tag, changes=changes)
    return image.name


def redis() -> Image:
    root = Root(users={"redis": 999})
    root.program(redis_program(), "/usr/bin/redis-server")
    root.program("redis-cli", "/usr/bin/redis-cli")
    root.folder("data", owner=999)
    how = ("USER redis", "WORKDIR /data", 'CMD ["redis-server", "--protected-mode", "no"]', "EXPOSE 6379")
    return Image("local/redis", "7", root, how)


def postgres() -> Image:
    root, programs = Root(users={"postgres": 999}), postgres_folder()
    for name in ("postgres", "initdb", "psql", "pg_isready"):
        root.program(programs / name)
    for name in ("cat", "locale", "mktemp", "rm"):
        root.program(name)
    for module in ("plpgsql", "dict_snowball"):
        root.file(programs.parent / "lib" / f"{module}.so")
    root.tree(Path("/usr/share/postgresql") / programs.parent.name, without=("man",))
    root.tree(Path("/usr/share/zoneinfo/Etc"))
    entrypoint = Path(__file__).with_name("postgres-entrypoint.sh")
    root.text("usr/bin/postgres-entrypoint", entrypoint.read_text(), 0o755)
    root.folder("var/lib/postgresql", owner=999)
    how = (
        f"ENV PATH={programs}:/usr/bin TZ=Etc/UTC",
        'ENTRYPOINT ["postgres-entrypoint"]',
        "USER postgres",
        "EXPOSE 5432",
    )
    return Image("local/postgres", "15", root, how)


def python() -> Image:
    """An interpreter with everything installed that the Dockerfile of this repository would have pip download."""
    root, home = Root(), Path(sys.base_prefix)
    for name in ("chown", "mkdir", "rm"):
        root.program(name)
    root.program(home / "bin" / f"python{PYTHON}")
    root.tree(home / "lib" / f"python{PYTHON}", without=NOT_NEEDED)
    root.text(f"{VENV}/pyvenv.cfg", f"home = {home / 'bin'}\ninclude-system-site-packages = false\n")
    for name in ("python", "python3", f"python{PYTHON}"):
        root.link(f"{VENV}/bin/{name}", f"{home}/bin/python{PYTHON}")
    site = f"{VENV}/lib/python{PYTHON}/site-packages"
    for package in closure(Requirement("upheld[reference]"), Requirement("hatchling"), Requirement("pip")):
        for path, file in contents(package):
            root.file(file, f"{site}/{path}")
    how = (
        f"ENV PATH=/{VENV}/bin:/usr/bin PYTHONUNBUFFERED=1 LANG=C.UTF-8",
        # So that pip installs a source tree with what is there. It takes the second for the opposite of what it says.
        "ENV PIP_NO_INDEX=1 PIP_NO_BUILD_ISOLATION=0 PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1",
    )
    return Image("local/python", PYTHON, root, how)


def closure(*wanted: Requirement) -> list[Distribution]:
    """The installed distributions that these need, without our own."""
    found: dict[str, Distribution] = {}
    asked, waiting = set[tuple[str, str]](), list(wanted)
    while waiting:
        requirement = waiting.pop()
        for extra in ("", *requirement.extras):
            if (requirement.name, extra) not in asked:
                asked.add((requirement.name, extra))
                package = found[requirement.name] = distribution(requirement.name)
                needs = map(Requirement, package.requires or ())
                waiting += [one for one in needs if one.marker is None or one.marker.evaluate({"extra": extra})]
    del found["upheld"]
    return list(found.values())


def contents(package: Distribution) -> Iterator[tuple[str, Path]]:
    """Its modules and data, by their paths in site-packages, compiled modules included where there are any."""
    for path in package.files or ():
        file = Path(str(path.locate()))
        if ".." in path.parts or not file.is_file():
            continue
        yield path.as_posix(), file
        compiled = file.parent / "__pycache__" / f"{file.stem}.{sys.implementation.cache_tag}.pyc"
        if path.suffix == ".py" and compiled.is_file():
            yield (Path(path).parent / "__pycache__" / compiled.name).as_posix(), compiled
