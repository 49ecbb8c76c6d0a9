"""Import graph of a Python package: which room imports which, in levels and circles.

`python -m tests.support.layers [FOLDER]` prints one row for each package of the tree under FOLDER (default: hwsim).
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

Arrows = Mapping[str, set[str]]
"""Importer -> imported."""


@dataclass(frozen=True)
class Tree:
    """The modules below a package folder, named with dots: `hwsim.network.layer`.

    A room of a package is a module or a folder directly inside it. The file `__init__.py` is the room `__init__`.
    """

    root: Path

    @cached_property
    def files(self) -> dict[str, Path]:
        """Module name -> file; a package has the name of its folder."""
        return {self._name(path): path for path in sorted(self.root.rglob("*.py"))}

    def _name(self, path: Path) -> str:
        parts = path.relative_to(self.root.parent).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @cached_property
    def packages(self) -> list[str]:
        """Names of all packages, the outermost first."""
        return [name for name, path in self.files.items() if path.name == "__init__.py"]

    @cached_property
    def arrows(self) -> dict[str, set[str]]:
        """Module -> modules of the tree that it imports, also inside functions and under TYPE_CHECKING."""
        return {name: set(self._imported(name)) - {name} for name in self.files}

    def _imported(self, name: str) -> Iterator[str]:
        for target, parts in imports(self.files[name]):
            inner = [f"{target}.{part}" for part in parts]
            found = [module for module in inner if module in self.files]
            yield from found
            if len(found) < len(inner) or not inner:
                yield from (module for module in [target] if module in self.files)

    def room(self, package: str, module: str) -> str | None:
        """The room of `package` that contains `module`; None where the module is outside."""
        if module == package:
            return "__init__"
        return module[len(package) + 1 :].split(".")[0] if module.startswith(f"{package}.") else None

    def room_arrows(self, package: str) -> dict[str, set[str]]:
        """Room -> rooms of the same package that it imports; `__init__` only where it imports or is imported."""
        out: dict[str, set[str]] = {room: set() for name in self.files if (room := self.room(package, name))}
        for importer, targets in self.arrows.items():
            here = self.room(package, importer)
            for target in targets:
                there = self.room(package, target)
                if here and there and here != there:
                    out[here].add(there)
        return _without_idle_init(out)

    def file_arrows(self, package: str) -> dict[str, set[str]]:
        """Module -> modules of the same package, however deep, that it imports."""
        inside = {name for name in self.files if self.room(package, name)}
        return {
            name: self.arrows[name] & inside
            for name in inside
            if self.files[name].name != "__init__.py" or self.arrows[name] & inside
        }


def _without_idle_init(arrows: dict[str, set[str]]) -> dict[str, set[str]]:
    if not arrows["__init__"] and not any("__init__" in targets for targets in arrows.values()):
        del arrows["__init__"]
    return arrows


def imports(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Every import statement of a file as (module, names taken from it), for `import m` as (m, []).

    Raises ValueError for a relative import: hwsim has none.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level or node.module is None:
                raise ValueError(f"{path}:{node.lineno}: relative import")
            yield node.module, [alias.name for alias in node.names]


def common_package(a: str, b: str) -> tuple[str, str, str]:
    """The innermost package that contains two modules, and the room of each in it.

    >>> common_package("hwsim.machine.pe.base", "hwsim.machine.run")
    ('hwsim.machine', 'pe', 'run')
    >>> common_package("hwsim.machine", "hwsim.machine.run")
    ('hwsim.machine', '__init__', 'run')
    """
    first, second = a.split("."), b.split(".")
    depth = 0
    while depth < min(len(first), len(second)) and first[depth] == second[depth]:
        depth += 1
    rooms = [parts[depth] if depth < len(parts) else "__init__" for parts in (first, second)]
    return ".".join(first[:depth]), rooms[0], rooms[1]


def circles(arrows: Arrows) -> list[list[str]]:
    """Groups of two or more names that reach each other (strongly connected components)."""
    reached = {name: _reach(arrows, name) for name in arrows}
    groups = {
        tuple(sorted(other for other in reached[name] if name in reached[other])): None
        for name in arrows
        if name in reached[name]
    }
    return [list(group) for group in groups]


def _reach(arrows: Arrows, start: str) -> set[str]:
    seen: set[str] = set()
    todo = list(arrows[start])
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo.extend(arrows[name])
    return seen


def levels(arrows: Arrows) -> list[list[str]]:
    """Names in levels, from the ground up: each imports from lower levels only. A circle is one name of its group.

    >>> levels({"c": {"a", "b"}, "b": {"a"}, "a": set()})
    [['a'], ['b'], ['c']]
    """
    group = {name: name for name in arrows}
    for members in circles(arrows):
        group.update(dict.fromkeys(members, "+".join(members)))
    below: dict[str, set[str]] = defaultdict(set)
    for name, targets in arrows.items():
        below[group[name]] |= {group[target] for target in targets} - {group[name]}
    out: list[list[str]] = []
    left = set(below)
    while left:
        out.append(sorted(name for name in left if not below[name] & left))
        left -= set(out[-1])
    return out


def upward(tree: Tree, orders: Mapping[str, Sequence[str]]) -> list[str]:
    """Imports that break a written order, as "importer imports imported".

    `orders` has for some packages their rooms from the ground up, rooms of one floor in one string. A room may import
    from lower floors and from itself. The innermost package that contains both modules decides.
    """
    floors = {
        package: {room: level for level, floor in enumerate(order) for room in floor.split()}
        for package, order in orders.items()
    }
    wrong = []
    for importer, targets in tree.arrows.items():
        for target in sorted(targets):
            package, here, there = common_package(importer, target)
            if package not in floors or here == "__init__":
                continue  # the front door of a package may import all of its rooms
            floor = floors[package]
            if here not in floor or there not in floor or floor[there] >= floor[here]:
                wrong.append(f"{importer} imports {target}")
    return wrong


def main(root: Path) -> None:
    """Print rooms, levels, arrows and circles of every package, the same for its files, and the circles."""
    tree = Tree(root)
    heads = ("rooms", "levels", "arrows", "circles")
    print(
        f"{'package':<36}"
        + "".join(f"{head:>8}" for head in heads)
        + "".join(f"{head:>8}" for head in ("files", *heads[1:]))
    )
    for package in tree.packages:
        rooms = tree.room_arrows(package)
        if len(rooms) > 2:
            figures = [*_figures(rooms), *_figures(tree.file_arrows(package))]
            print(f"{package:<36}" + "".join(f"{figure:>8}" for figure in figures))
            for group in circles(rooms):
                print("    circle of rooms:", " ".join(group))
    for group in circles(tree.arrows):
        print("circle of files:", " ".join(group))


def _figures(arrows: Arrows) -> tuple[int, int, int, int]:
    """Number of names, levels, arrows and circles."""
    known = {name: targets & set(arrows) for name, targets in arrows.items()}
    return len(known), len(levels(known)), sum(map(len, known.values())), len(circles(known))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2] / "hwsim")
