"""Which imports a file of shipped classes and functions needs: those that their sources use, and no other."""

from __future__ import annotations

import ast
import builtins
import inspect
import symtable
import sys
from collections.abc import Callable, Iterable, Iterator

from archspace.errors import UserError

Shipped = Callable[..., object]
"""A class or a function whose own source goes into the exported file."""
Origin = tuple[str, str | None, str | None]
"""An import: the module, the name in it (None for the module itself), and the name it is given (None: its own)."""

NN: Origin = ("torch", "nn", None)


def source_of_item(item: Shipped) -> str:
    """The source of one class or function; raises UserError where there is none to read."""
    try:
        return inspect.getsource(item).rstrip()
    except (OSError, TypeError):
        raise UserError(
            f"{item.__module__}.{item.__name__}: its source cannot be read, so it cannot be exported; "
            "define it in a file, at the top level of a module"
        ) from None


def imports_of(shipped: Iterable[Shipped]) -> str:
    """The import statements of a file that holds these items and `nn`, in isort's order.

    Raises UserError for a name that is neither torch's, nor the standard library's, nor shipped.
    """
    items = {item.__name__: item for item in shipped}
    wanted: dict[str, Origin] = {"nn": NN}
    for item in items.values():
        for name, origin in _origins(item, set(items)):
            if wanted.setdefault(name, origin) != origin:
                raise UserError(f"{_place(item)} imports {name} from elsewhere than another exported class; rename one")
    standard = sorted(_statements(o for o in wanted.values() if not _is_torch(o)), key=_order)
    torch = sorted(_statements(o for o in wanted.values() if _is_torch(o)), key=_order)
    return "\n\n".join("\n".join(section) for section in (standard, torch) if section)


def _origins(item: Shipped, shipped: set[str]) -> Iterator[tuple[str, Origin]]:
    """The names that an item uses and its module imports."""
    module = sys.modules[item.__module__]
    imported = _imported(inspect.getsource(module))
    for name in sorted(_global_names(source_of_item(item)) - shipped):
        origin = imported.get(name)
        if origin is not None and (_is_torch(origin) or origin[0].split(".")[0] in sys.stdlib_module_names):
            yield name, origin
        elif origin is not None or hasattr(module, name) or not hasattr(builtins, name):
            raise UserError(
                f"{_place(item)} uses {name}, which its exported source would lack: "
                "add it to `needs` of its Part, or make it an argument"
            )


def _global_names(source: str) -> set[str]:
    """Names that a class or function takes from around it."""
    names: set[str] = set()
    tables = [symtable.symtable(source, "<shipped>", "exec")]
    for table in tables:
        tables.extend(table.get_children())
        for symbol in table.get_symbols():
            outside = symbol.is_global() if table.get_type() != "module" else not symbol.is_assigned()
            if symbol.is_referenced() and outside:
                names.add(symbol.get_name())
    return names


def _imported(source: str) -> dict[str, Origin]:
    """Every name that a module imports."""
    found: dict[str, Origin] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.split(".")[0]] = (alias.name, None, alias.asname)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            for alias in node.names:
                found[alias.asname or alias.name] = (node.module, alias.name, alias.asname)
    return found


def _statements(origins: Iterable[Origin]) -> Iterator[str]:
    """Import statements, those of plain names from one module joined."""
    joined: dict[str, list[str]] = {}
    for module, name, called in origins:
        renamed = f" as {called}" if called else ""
        if name is None:
            yield f"import {module}{renamed}"
        elif called:
            yield f"from {module} import {name}{renamed}"
        else:
            joined.setdefault(module, []).append(name)
    for module, names in joined.items():
        yield f"from {module} import {', '.join(sorted(names, key=_kind))}"


def _order(statement: str) -> tuple[bool, str]:
    return statement.startswith("from"), statement


def _kind(name: str) -> tuple[int, str]:
    """isort's order within a statement: constants, classes, the rest."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2), name


def _is_torch(origin: Origin) -> bool:
    return origin[0].split(".")[0] == "torch"


def _place(item: Shipped) -> str:
    return f"{item.__module__}.{item.__name__}"
