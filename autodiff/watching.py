"""What a Python function reads besides its arguments, and whether that has been rebound.

A trace is valid for the closure cells and globals it has seen. Watched are: the cells and globals
that the function reads, those of plain Python functions it reaches through them, the items of
lists and dicts found there, and the attributes, named in the code, of objects found there. Values
are compared by identity (numbers and strings by value). What lies deeper, such as the items of a
list in a list, is not watched; neither are modules, classes and containers of more than
ITEM_LIMIT items. In-place changes of arrays need
no watching: arrays are bound by reference and read at every call.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

#: Packages whose functions are not looked into: their globals do not change what is traced.
LIBRARIES = frozenset({"numpy", "scipy", "tensorcalc", "backends", "autodiff"})

#: Containers with more items are not watched item by item: looking would cost more than the call.
ITEM_LIMIT = 256

#: Places that are asked for by code of their own; of more, the code would take long to compile.
SPELLED_LIMIT = 64

_UNSET = object()
Place = tuple[Callable[..., Any], Any, Any]  # get(container, key) is the present value


class Watch:
    """A snapshot of everything outside its arguments that ``function`` reads."""

    __slots__ = ("named", "places", "same")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.places: list[tuple[Callable[..., Any], Any, Any, Any]] = []
        #: Arrays found, by id, with the name that the code has for them.
        self.named: dict[int, str] = {}
        seen: set[Any] = set()
        for name, (get, container, key) in _reached(function, seen):
            value = get(container, key)
            self.places.append((get, container, key, value))
            if hasattr(value, "dtype"):
                self.named.setdefault(id(value), name)
        #: Whether every place holds the very object it held: what most calls need to ask.
        self.same = _identities(self.places)

    def values(self) -> Iterator[Any]:
        """What was found in the watched places."""
        return (place[3] for place in self.places)

    def changed(self) -> bool:
        """Whether a watched place holds something else now."""
        for get, container, key, value in self.places:
            now = get(container, key)
            if now is not value and not _same_constant(now, value):
                return True
        return False


def _identities(places: Sequence[tuple[Callable[..., Any], Any, Any, Any]]) -> Callable[[], bool]:
    """Whether all places hold the same objects, as code that looks at each without a call.

    Of places that are many, the answer is no: :meth:`Watch.changed` then looks at them in a loop.
    """
    if len(places) > SPELLED_LIMIT:
        return lambda: False
    names: dict[str, Any] = {"unset": _UNSET, "getattr": getattr, "len": len}
    texts = []
    for number, (get, container, key, value) in enumerate(places):
        names |= {f"c{number}": container, f"k{number}": key, f"v{number}": value}
        texts.append(_SPELLINGS[get].replace("#", str(number)))
    found = " and ".join(texts) or "True"
    lines = ["def same():", "    try:", f"        return {found}"]
    lines += ["    except ValueError:", "        return False"]  # a cell has lost its value
    text = "\n".join(lines)
    exec(_code(text), names)  # noqa: S102
    return names["same"]


@functools.lru_cache(maxsize=256)
def _code(text: str) -> Any:
    return compile(text, "<tensorcalc watch>", "exec")


def _same_constant(left: Any, right: Any) -> bool:
    return type(left) is type(right) and isinstance(left, (int, float, str)) and left == right


def _cell_value(cell: Any, _: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _UNSET


def _entry(container: Any, key: Any) -> Any:
    return container.get(key, _UNSET)


def _item(container: Any, position: Any) -> Any:
    return container[position] if position < len(container) else _UNSET


def _length(container: Any, _: Any) -> int:
    return len(container)


def _attribute(owner: Any, name: str) -> Any:
    return getattr(owner, name, _UNSET)


#: How code asks whether the place with a number holds the same object as before.
_SPELLINGS: dict[Callable[..., Any], str] = {
    _cell_value: "c#.cell_contents is v#",
    _entry: "c#.get(k#, unset) is v#",
    _item: "k# < len(c#) and c#[k#] is v#",
    _length: "len(c#) == v#",
    _attribute: "getattr(c#, k#, unset) is v#",
}


def _reached(function: Any, seen: set[Any]) -> Iterator[tuple[str, Place]]:
    """Places that ``function`` reads, with names; each function and object once."""
    if id(function) in seen:
        return
    if not isinstance(function, types.MethodType):  # made anew at every access, so ids recur
        seen.add(id(function))
    if isinstance(function, functools.partial):
        yield from _reached(function.func, seen)
        for value in (*function.args, *function.keywords.values()):
            yield from _inside("value", value, frozenset(), seen)
    elif isinstance(function, types.MethodType):
        if (key := (id(function.__func__), id(function.__self__))) not in seen:
            seen.add(key)
            yield from _reached(function.__func__, seen)
            names = _names_read(function.__func__.__code__)
            yield from _inside("self", function.__self__, names, seen)
    elif isinstance(function, types.FunctionType):
        yield from _places_of(function, seen)
    elif hasattr(function, "__wrapped__"):  # a transform: what it reads is what its function reads
        yield from _reached(function.__wrapped__, seen)
    elif not isinstance(function, type):
        called = inspect.getattr_static(type(function), "__call__", None)
        if isinstance(called, types.FunctionType):
            yield from _reached(types.MethodType(called, function), seen)


def _places_of(function: types.FunctionType, seen: set[Any]) -> Iterator[tuple[str, Place]]:
    names = _names_read(function.__code__)
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    places: list[tuple[str, Place]] = [(name, (_cell_value, cell, None)) for name, cell in cells]
    scope = function.__globals__
    places += [(name, (_entry, scope, name)) for name in sorted(names) if name in scope]
    for name, place in places:
        get, container, key = place
        value = get(container, key)
        if isinstance(value, (types.ModuleType, type)) or value is function:
            continue
        yield name, place
        yield from _inside(name, value, names, seen)


def _inside(
    name: str, value: Any, names: frozenset[str], seen: set[Any]
) -> Iterator[tuple[str, Place]]:
    """Places one step inside a value that the code reads."""
    if isinstance(value, (int, float, str, tuple)) or hasattr(value, "dtype"):
        return
    if isinstance(value, (dict, list)) and len(value) > ITEM_LIMIT:
        return
    if isinstance(value, dict):
        yield f"{name} length", (_length, value, None)
        yield from ((str(key), (_entry, value, key)) for key in list(value))
    elif isinstance(value, list):
        yield f"{name} length", (_length, value, None)
        yield from ((f"{name}{k}", (_item, value, k)) for k in range(len(value)))
    elif _is_library(value):
        return
    elif isinstance(value, (types.FunctionType, types.MethodType, functools.partial)) or hasattr(
        value, "__wrapped__"
    ):
        yield from _reached(value, seen)
    elif value is not None and not isinstance(value, (types.ModuleType, type)):
        for key in sorted(names):
            yield from _of_object(value, key, seen)
        yield from _reached(value, seen)


def _of_object(owner: Any, name: str, seen: set[Any]) -> Iterator[tuple[str, Place]]:
    """An attribute, or what a method or property of that name reads."""
    found = inspect.getattr_static(owner, name, _UNSET)
    if isinstance(found, property):
        found = found.fget
    if isinstance(found, types.FunctionType):
        yield from _reached(types.MethodType(found, owner), seen)
    elif found is not _UNSET and not isinstance(found, (staticmethod, classmethod)):
        yield name, (_attribute, owner, name)


def _is_library(value: Any) -> bool:
    module = getattr(value, "__module__", None) or type(value).__module__
    return str(module).split(".")[0] in LIBRARIES


@functools.lru_cache(maxsize=1024)
def _names_read(code: types.CodeType) -> frozenset[str]:
    """Names that code, or code nested in it, may read as globals or attributes."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names_read(constant)
    return frozenset(names)
