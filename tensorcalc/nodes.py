"""The six node types of an expression DAG: positional, immutable and interned.

=========  ==============================  =====================================================
node       fields                          meaning
=========  ==============================  =====================================================
Variable   name, extents, flags            leaf
Constant   value                           rank-0 leaf
Delta      rows, extents                   1 where every row ``sum(c[a]*index[a]) + c0`` is 0
Product    operands, subscripts, output    n-ary einsum; labels are small integers
Sum        operands                        addition of equal shapes
Apply      operation, operands, params     a row of the operation table, batch axes before core
=========  ==============================  =====================================================

Structurally equal nodes are one object, so ``is`` compares and sharing costs nothing. The classes
here only store; what a well-formed and normalised node looks like is decided by the constructors
in :mod:`tensorcalc.products`, :mod:`tensorcalc.sums` and :mod:`tensorcalc.applications`.
Operators and NumPy functions reach expressions through the ``dispatch`` tables below, which
:mod:`tensorcalc.numpy_protocol` fills.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from numpy.lib.mixins import NDArrayOperatorsMixin

from . import extents as _extents

if TYPE_CHECKING:
    from .extents import Extent
    from .table import Operation

    Extents = tuple[int | Extent, ...]
    Labels = tuple[int, ...]
    Row = tuple[tuple[int | Extent, ...], int | Extent]

#: What NumPy asks of expressions, by ufunc, by function and by name of an ndarray method.
UFUNCS: dict[Any, Callable[..., Any]] = {}
FUNCTIONS: dict[Any, Callable[..., Any]] = {}
METHODS: dict[str, Callable[..., Any]] = {}

_table: WeakValueDictionary[tuple[Any, ...], Node] = WeakValueDictionary()


class Node(NDArrayOperatorsMixin):
    """An expression: a tensor whose entries are given by a formula."""

    __slots__ = ("__weakref__", "digest", "extents", "facts")
    extents: Extents
    digest: bytes
    facts: dict[str, Any]  # what was found out about the node, kept for the next who asks

    __hash__ = object.__hash__

    @property
    def operands(self) -> tuple[Node, ...]:
        """The nodes that this one is computed from; a leaf has none."""
        return ()

    @property
    def shape(self) -> Extents:
        """Extents of the axes; symbols where the size is open."""
        return self.extents

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.extents)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return UFUNCS["dispatch"](ufunc, method, inputs, options)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return FUNCTIONS["dispatch"](function, args, kwargs)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        return METHODS["__array__"](self)

    def __getitem__(self, index: Any) -> Any:
        return METHODS["__getitem__"](self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        METHODS["__setitem__"](self, index, value)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in METHODS:
            return METHODS["missing"](self, name)
        method = METHODS[name]
        if getattr(method, "is_property", False):
            return method(self)
        return method.__get__(self)

    def __len__(self) -> int:
        if not self.extents:
            raise TypeError("len() of a scalar expression")
        return int(self.extents[0])

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return METHODS["__bool__"](self)

    def __float__(self) -> float:
        return METHODS["__float__"](self)

    def __int__(self) -> int:
        return int(METHODS["__float__"](self))

    def __complex__(self) -> complex:
        return complex(METHODS["__float__"](self))

    def __index__(self) -> int:
        return METHODS["__index__"](self)

    def __round__(self, digits: int | None = None) -> Node:
        return METHODS["__round__"](self, digits)

    def __format__(self, specification: str) -> str:
        return METHODS["__format__"](self, specification)

    def __repr__(self) -> str:
        return METHODS["text"](self)

    def _repr_latex_(self) -> str:
        return METHODS["latex"](self)


# Nodes are immutable: ``x += y`` rebinds the name, as it does for numbers.
for _name in "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift".split():
    setattr(Node, f"__i{_name}__", getattr(NDArrayOperatorsMixin, f"__{_name}__"))


class Variable(Node):
    """A leaf with a name; ``value`` is the array it stands for, if it was met, not declared."""

    __slots__ = ("flags", "name", "value")
    name: str
    flags: frozenset[str]
    value: Any

    def __new__(
        cls,
        name: str,
        extents: Iterable[int | Extent] = (),
        flags: Iterable[str] = (),
        value: Any = None,
    ) -> Variable:
        """The variable of these fields; a ``value`` is compared by identity."""
        extents, flags = tuple(extents), frozenset(flags)
        key = (cls, name, extents, flags, None if value is None else _Identity(id(value)))
        return _intern(key, cls, extents, name=name, flags=flags, value=value)


class Constant(Node):
    """A number; broadcasting is written as a Product with all-ones Deltas."""

    __slots__ = ("value",)
    value: int | float

    def __new__(cls, value: float) -> Constant:
        """The constant; an integral value is kept as an ``int``, so 2.0 and 2 are one node."""
        number = float(value)
        if number.is_integer() and abs(number) < 2**53:
            return _intern((cls, int(number)), cls, (), value=int(number))
        return _intern((cls, number), cls, (), value=number)


class Delta(Node):
    """1 where every row ``sum(coefficients * indices) + offset`` is zero, else 0.

    Without rows it is all ones; ``rows=(((1, -1), 0),)`` is the Kronecker delta. Coefficients and
    offsets are integers or extents.
    """

    __slots__ = ("rows",)
    rows: tuple[Row, ...]

    def __new__(cls, rows: Iterable[Row], extents: Iterable[int | Extent]) -> Delta:
        """The delta of these rows, one coefficient per axis in each, and one offset."""
        rows, extents = tuple(rows), tuple(extents)
        return _intern((cls, rows, extents), cls, extents, rows=rows)


class Product(Node):
    """``out[output] = sum over the other labels of the product of operands[k][subscripts[k]]``.

    A boolean operand (a mask or a Delta) *selects*: where it is false the product is zero whatever
    the other operands are, infinities and NaN included.
    """

    __slots__ = ("_operands", "output", "subscripts")
    _operands: tuple[Node, ...]
    subscripts: tuple[Labels, ...]
    output: Labels

    def __new__(
        cls,
        operands: tuple[Node, ...],
        subscripts: tuple[Labels, ...],
        output: Labels,
        extents: Extents,
    ) -> Product:
        """The product of operands already in normal form; ``output`` is ``0, 1, ...``."""
        key = (cls, operands, subscripts, output)
        return _intern(key, cls, extents, _operands=operands, subscripts=subscripts, output=output)

    @property
    def operands(self) -> tuple[Node, ...]:
        """The factors; a constant other than 1 comes first."""
        return self._operands

    def label_extents(self) -> dict[int, int | Extent]:
        """Extent of every label."""
        return {
            label: extent
            for operand, labels in zip(self.operands, self.subscripts, strict=True)
            for label, extent in zip(labels, operand.extents, strict=True)
        }


class Sum(Node):
    """Addition of two or more operands of equal shape."""

    __slots__ = ("_operands",)
    _operands: tuple[Node, ...]

    def __new__(cls, operands: tuple[Node, ...]) -> Sum:
        """The sum of operands already in normal form: two or more, of equal shape."""
        return _intern((cls, operands), cls, operands[0].extents, _operands=operands)

    @property
    def operands(self) -> tuple[Node, ...]:
        """The terms."""
        return self._operands


class Apply(Node):
    """A row of the operation table applied to operands of shapes ``batch + core``."""

    __slots__ = ("_operands", "operation", "params")
    _operands: tuple[Node, ...]
    operation: Operation
    params: tuple[tuple[str, Any], ...]

    def __new__(
        cls,
        operation: Operation,
        operands: tuple[Node, ...],
        params: tuple[tuple[str, Any], ...],
        extents: Extents,
    ) -> Apply:
        """The application of a row to operands that fit it; ``params`` are sorted by name."""
        key = (cls, operation.name, operands, params)
        return _intern(key, cls, extents, operation=operation, _operands=operands, params=params)

    @property
    def operands(self) -> tuple[Node, ...]:
        """The arguments of the operation, in the order of its signature."""
        return self._operands


def _intern(key: tuple[Any, ...], cls: type, extents: Extents, **fields: Any) -> Any:
    found: Any = _table.get(key)
    if found is None:
        found = object.__new__(cls)
        found.extents = extents
        for name, value in fields.items():
            setattr(found, name, value)
        found.facts = {}
        found.digest = _digest(key)
        _table[key] = found
    return found


class _Identity(int):
    """The address of an array, which another process has elsewhere."""

    def __str__(self) -> str:
        return "met"


def _digest(key: tuple[Any, ...]) -> bytes:
    """A hash of the structure, the same in every process: the canonical order of operands."""
    text = "|".join([key[0].__name__, *map(_digest_text, key[1:])])
    return blake2b(text.encode(), digest_size=8).digest()


def _digest_text(field: Any) -> str:
    if isinstance(field, Node):
        return field.digest.hex()
    if isinstance(field, (tuple, frozenset)):
        parts = [_digest_text(part) for part in field]
        return f"({','.join(sorted(parts) if isinstance(field, frozenset) else parts)})"
    return str(field)


# -- traversal ------------------------------------------------------------------------------------
def postorder(*roots: Node) -> list[Node]:
    """Every distinct node once, operands before users; iterative, so depth is no limit."""
    order: list[Node] = []
    seen: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(root, False) for root in reversed(roots)]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((operand, False) for operand in reversed(node.operands))
    return order


def as_expression(value: Any) -> Any:
    """The node that index notation such as ``X[i, j] * w[j]`` stands for; a node is itself."""
    return value if isinstance(value, Node) else getattr(value, "__expression__", value)


def free_variables(*roots: Node) -> tuple[Variable, ...]:
    """The variables that expressions depend on, in order of first use.

    >>> import tensorcalc as tc
    >>> A, x, y = tc.variables("A: m n, x: n, y: m")
    >>> [(v.name, v.shape) for v in free_variables(A @ x - y)]
    [('A', (m, n)), ('x', (n,)), ('y', (m,))]
    """
    nodes = postorder(*map(as_expression, roots))
    return tuple(node for node in nodes if isinstance(node, Variable))


def node_count(*roots: Node) -> int:
    """Number of distinct nodes of the DAG, leaves included; what is shared counts once.

    >>> import tensorcalc as tc
    >>> A, x = tc.variables("A: n n, x: n")
    >>> node_count(A @ x), node_count(A @ x, x @ (A @ x))
    (3, 4)
    """
    return len(postorder(*map(as_expression, roots)))


def use_counts(*roots: Node) -> dict[Node, int]:
    """How often each node is an operand, counting every position; a root counts once more."""
    counts: dict[Node, int] = dict.fromkeys(roots, 1)
    for node in postorder(*roots):
        for operand in node.operands:
            counts[operand] = counts.get(operand, 0) + 1
    return counts


def ones(extents: Iterable[int | Extent]) -> Delta:
    """The all-ones tensor."""
    return Delta((), extents)


def extent_scalar(extent: int | Extent) -> Node:
    """An extent as a scalar expression: the sum of that many ones."""
    if not isinstance(extent, _extents.Extent):
        return Constant(extent)
    return Product((ones((extent,)),), ((0,),), (), ())


_extents.EXPRESSIONS["scalar"] = extent_scalar
