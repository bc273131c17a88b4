"""Tensors: arrays that record what NumPy does with them.

Operators, ufuncs, NumPy functions, indexing and array methods all come to
:func:`autodiff.graph.calls.record`, which knows none of them: an operation is traced by
:mod:`tensorcalc.numpy_protocol`, and its pullback is derived. Nothing here has a rule for any.

Where no argument requires a gradient, or inside :func:`no_grad`, NumPy's own function runs on the
arrays and nothing is recorded. Tensors of arrays on a device compute there (:mod:`.placement`).

``data`` may be changed in place (``t.data[...] = values``) by whoever owns it, for example an
optimizer between two steps. As in PyTorch the graph does not see that: changing an array that a
recorded operation has saved, before its backward pass, gives gradients at the new values. Changes
through the tensor, inside :func:`no_grad`, are seen (:mod:`.changes`): such a pass is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from tensorcalc.errors import TraceError
from tensorcalc.extents import tracing
from tensorcalc.nodes import Node

from .. import pytrees
from .changes import note
from .modes import GraphError, recording
from .placement import kept, moved
from .plans import Slice, Step, indexed
from .record import Record

#: NumPy functions whose result says something about the array and is no array.
STATIC = frozenset(
    {np.shape, np.ndim, np.size, np.result_type, np.iscomplexobj, np.isrealobj, np.can_cast}
)

#: Types of tensors: this class and its subclasses.
TENSORS: set[type] = set()

#: ``record(function, args, kwargs)`` runs a NumPy function; set by :mod:`autodiff.graph.calls`.
record: Callable[..., Any] = NotImplemented
#: What writes into ``out=``, and the backward pass; set by modules that come later.
in_place: Callable[..., Any] = NotImplemented
backward_pass: Callable[..., Any] = NotImplemented


class Tensor(NDArrayOperatorsMixin):
    """An array with a place in the graph.

    ``data``, NumPy's or on a device (of CuPy, torch, JAX), is wrapped, not copied. After
    :func:`backward`, ``grad`` of a leaf that requires gradients is an array of the shape of
    ``data`` beside it (a Tensor where the pass was recorded with ``create_graph=True``); repeated
    passes add up until :meth:`zero_grad`.

    >>> t = Tensor([1.0, 2.0], requires_grad=True)
    >>> np.sum(t * t).backward()
    >>> t.grad
    array([2., 4.])

    Raises TypeError where ``requires_grad`` is asked of data that are no real numbers.
    """

    __slots__ = (
        "__weakref__",
        "_requires_grad",
        "data",
        "grad",
        "hooks",
        "index",
        "name",
        "record",
    )

    data: Any
    grad: Any
    record: Record | None
    index: int
    hooks: list[Callable[[Any], Any]] | None
    name: str | None

    def __init__(
        self, data: Any, requires_grad: bool = False, dtype: Any = None, name: str | None = None
    ) -> None:
        if isinstance(data, Tensor):
            data = data.data
        self.data = kept(data, dtype)
        if self.data.dtype.kind not in "fiub":
            raise TypeError(
                f"a Tensor of dtype {self.data.dtype}: pass real numbers, integers or booleans"
            )
        self.grad = self.record = self.hooks = None
        self.index = -1
        self.name = name
        self._requires_grad = False
        self.requires_grad = requires_grad

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        TENSORS.add(cls)

    __hash__ = object.__hash__

    # -- what it is -------------------------------------------------------------------------
    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow here: a leaf that asks for them, or a recorded result."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and self.data.dtype.kind != "f":
            raise TypeError(
                f"requires_grad of a Tensor of dtype {self.data.dtype}: only real numbers have "
                "gradients\n  hint: convert with .astype(float)"
            )
        if not value and self.record is not None:
            raise GraphError(
                "requires_grad = False on a result of a recorded operation",
                hint="use t.detach() for a tensor of the same data outside the graph",
            )
        self._requires_grad = bool(value)

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made it."""
        return self.record is None

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self.data.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.data.ndim

    @property
    def dtype(self) -> Any:
        """Kind and precision of the entries."""
        return self.data.dtype

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.data.size

    @property
    def nbytes(self) -> int:
        """Bytes of the data."""
        return self.data.nbytes

    # -- leaving the graph ------------------------------------------------------------------
    def numpy(self) -> Any:
        """The data, shared, or copied from a device; what is done to it is not recorded."""
        return moved(self.data, "cpu")

    def to(self, place: str) -> Tensor:
        """The leaf in the memory of ``"cuda"`` or ``"cpu"``, itself if it lies there.

        Raises GraphError for a result of a recorded operation: moving is not recorded.
        """
        data = moved(self.data, place)
        if data is self.data:
            return self
        if self.record is not None:
            raise GraphError(
                f"t.to({place!r}) of a result of a recorded operation",
                hint="move the parameters and inputs before, or t.detach().to(...)",
            )
        return Tensor(data, self._requires_grad, name=self.name)

    def detach(self) -> Tensor:
        """A tensor of the same data that is not in the graph."""
        return untracked(self.data)

    def item(self) -> Any:
        """The only entry as a Python number."""
        return self.data.item()

    def tolist(self) -> Any:
        """The entries as nested lists."""
        return self.data.tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        if self._requires_grad and (tracing() or recording.get()):
            raise _left_the_graph(self)
        return np.array(self.data, dtype, copy=copy)

    def __float__(self) -> float:
        return float(self.data)

    def __int__(self) -> int:
        return int(self.data)

    def __bool__(self) -> bool:
        return bool(self.data)

    def __index__(self) -> int:
        return self.data.__index__()

    def __len__(self) -> int:
        return len(self.data)

    def __format__(self, form: str) -> str:
        return format(self.data.item() if form and not self.data.ndim else str(self), form)

    def __repr__(self) -> str:
        shown = isinstance(self.data, np.ndarray)
        text = np.array2string(self.data, separator=", ", prefix="Tensor(") if shown else self.data
        grad = ", requires_grad=True" if self._requires_grad else ""
        made = f", made by {self.record.plan.name}" if self.record is not None else ""
        return f"{type(self).__name__}({text}{grad}{made})"

    # -- gradients --------------------------------------------------------------------------
    def backward(
        self, gradient: Any = None, retain_graph: bool = False, create_graph: bool = False
    ) -> None:
        """Add ``d self / d leaf`` to ``leaf.grad`` of every leaf that requires gradients.

        ``gradient`` is the adjoint of this tensor, 1 for a scalar. The graph is freed on the way
        unless ``retain_graph``; with ``create_graph`` (which retains it) the pass is recorded, so
        that gradients are tensors and can be differentiated again, to any order.

        Raises GraphError if the tensor does not require gradients, is no scalar and ``gradient``
        is missing, or the graph was freed.
        """
        backward_pass(self, gradient, retain_graph or create_graph, create_graph)

    def register_hook(self, hook: Callable[[Any], Any]) -> Callable[[], None]:
        """Call ``hook(gradient)`` when this tensor's gradient is complete in a backward pass.

        What the hook returns, unless None, replaces the gradient. Returns a function that removes
        the hook. Raises GraphError if the tensor does not require gradients.
        """
        if not self._requires_grad:
            raise GraphError(
                "a hook on a tensor that does not require gradients: it would never be called",
                hint="create the tensor with requires_grad=True",
            )
        if self.record is None:
            self.hooks = hooks = self.hooks if self.hooks is not None else []
        else:
            self.record.hooks = self.record.hooks or {}
            hooks = self.record.hooks.setdefault(self.index, [])
        hooks.append(hook)
        return lambda: hooks.remove(hook)

    def retain_grad(self) -> None:
        """Keep the gradient of a result of an operation in ``grad`` as well."""
        if self.record is not None:

            def keep(gradient: Any) -> None:
                self.grad = gradient if self.grad is None else self.grad + gradient

            self.register_hook(keep)

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    # -- NumPy ------------------------------------------------------------------------------
    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if any(isinstance(x, Node) for x in inputs):
            return NotImplemented
        if "out" in options:
            return in_place(ufunc, method, inputs, options)
        return record(ufunc if method == "__call__" else getattr(ufunc, method), inputs, options)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if any(issubclass(t, Node) for t in types):
            return NotImplemented
        if function in STATIC:
            args, kwargs = without_tensors((args, kwargs))
            return function(*args, **kwargs)
        return record(function, args, kwargs)

    def __getitem__(self, index: Any) -> Any:
        return record(indexed, (self, *index_items(index)))

    def __setitem__(self, index: Any, value: Any) -> None:
        _check_writable(self, value, "t[index] = value")
        index = without_tensors(index)
        self.data[index] = value.data if isinstance(value, Tensor) else value
        note(self.data)

    def __iter__(self) -> Iterator[Any]:
        if not self.data.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return iter(record(np.unstack, (self,)))

    def astype(self, dtype: Any) -> Tensor:
        """The same numbers in another precision; gradients come back in this one's."""
        dtype = np.dtype(dtype)
        if dtype == self.data.dtype:
            return self
        if dtype.kind != "f":
            return untracked(kept(self.data, dtype))
        result = record(np.positive, (self,))
        result.data = result.data.astype(dtype)
        return result


TENSORS.add(Tensor)


# -- making tensors -------------------------------------------------------------------------------
def untracked(data: Any) -> Tensor:
    """A tensor outside the graph."""
    tensor = object.__new__(Tensor)
    tensor.data = data if type(data) is np.ndarray else kept(data)
    tensor.grad = tensor.record = tensor.hooks = tensor.name = None
    tensor.index = -1
    tensor._requires_grad = False
    return tensor


def tracked(data: Any, record: Record, index: int) -> Tensor:
    """Result ``index`` of a record."""
    tensor = object.__new__(Tensor)
    tensor.data = data if type(data) is np.ndarray else kept(data)
    tensor.grad = tensor.hooks = tensor.name = None
    tensor.record = record
    tensor.index = index
    tensor._requires_grad = True
    return tensor


def without_tensors(tree: Any) -> Any:
    """A nesting with tensors replaced by their arrays."""
    leaves, definition = pytrees.flatten(tree)
    return pytrees.unflatten(definition, [x.data if isinstance(x, Tensor) else x for x in leaves])


def index_items(index: Any) -> list[Any]:
    """The items of an index; masks as positions, lists as arrays, slices as containers."""
    items: list[Any] = []
    for item in index if isinstance(index, tuple) else (index,):
        if isinstance(item, Tensor) and item.data.dtype == bool:
            item = item.data
        if isinstance(item, slice):
            start, stop, step = map(_bound, (item.start, item.stop, item.step))
            items.append(Slice(start, stop, None if step is None else Step(step)))
        elif isinstance(item, (list, np.ndarray)):
            array = np.asarray(item if len(item) else np.zeros(0, int))
            items.extend(array.nonzero() if array.dtype == bool else [array])
        elif isinstance(item, np.generic):
            items.append(item.item())
        else:
            items.append(item)
    return items


def _bound(value: Any) -> Any:
    return int(value) if isinstance(value, (np.integer, Tensor)) else value


# -- refusals ------------------------------------------------------------------------------------
def _check_writable(tensor: Tensor, value: Any, what: str) -> None:
    involved = tensor._requires_grad or (isinstance(value, Tensor) and value._requires_grad)
    if recording.get() and involved:
        raise not_in_place(what)


def not_in_place(what: str) -> GraphError:
    """The error of a change in place that the graph would have to record."""
    return GraphError(
        f"{what}: the graph does not record changes in place",
        hint="make a new tensor (t = t - u, np.where(mask, new, t)), or change the data outside "
        "the graph: with ad.no_grad(), or t.data[...] = values",
    )


def _left_the_graph(tensor: Tensor) -> TraceError:
    shape = f"shape {tensor.shape}"
    if tracing():
        return TraceError(
            "a tensor that requires gradients was met while tracing, where it would be a constant",
            [f"tensor: {tensor.name or type(tensor).__name__}, {shape}"],
            "pass it as an argument, or use functional_call(model, params, ...); t.data is a "
            "constant on purpose",
        )
    return TraceError(
        "an array was asked of a tensor that requires gradients; the graph would end here",
        [f"tensor: {shape}"],
        "use NumPy or scipy.special functions that dispatch, or t.detach(), t.data, ad.no_grad()",
    )
