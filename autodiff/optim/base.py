"""What first-order optimizers share: groups of parameters, their state, saving and loading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from ..graph import GraphError, Tensor, enable_grad
from ..graph.calls import on_arrays
from ..graph.placement import beside, moved, target_of
from .clipping import listed


class Optimizer:
    """Updates parameters by one rule; options, groups and methods are those of torch.optim.

    ``params`` is an iterable of tensors that require gradients, of pairs (name, tensor), or of
    dictionaries with the key "params" and options that differ from the defaults.

    A subclass gives its rule (see :mod:`autodiff.optim.rules`), the names of its state, and the
    numbers that depend on the count of steps. ``state[param]`` holds the count ``"step"`` and
    arrays; it exists after the first step.

    >>> import numpy as np, autodiff as ad
    >>> w = ad.Tensor(np.array([1.0]), requires_grad=True)
    >>> optimizer = ad.optim.SGD([{"params": [w], "lr": 0.5}], lr=0.1)
    >>> optimizer.param_groups[0]["lr"]
    0.5
    >>> np.sum(w**2).backward()
    >>> optimizer.step()
    >>> w.data
    array([0.])

    Raises ValueError for no parameters, for one given twice, for an unknown option or one out of
    its range.
    """

    #: A function of :mod:`autodiff.optim.rules`.
    rule: ClassVar[Any]

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.state: dict[Tensor, dict[str, Any]] = {}
        self.param_groups: list[dict[str, Any]] = []
        name = type(self).__name__
        given = list(params.items()) if isinstance(params, dict) else listed(params, name)
        if not given:
            raise ValueError(f"{name} got no parameters")
        groups: list[Any] = given if isinstance(given[0], dict) else [{"params": given}]
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Add parameters with options of their own.

        Raises TypeError for parameters that are no tensors or want no gradient, ValueError for one
        that is in a group already or for an option that the optimizer does not have.
        """
        unknown = set(group) - {"params", "name", *self.defaults}
        if unknown:
            raise ValueError(
                f"{type(self).__name__} has no option {', '.join(sorted(unknown))}\n"
                f"  options: {', '.join(self.defaults)}"
            )
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        params = [p[1] if isinstance(p, tuple) else p for p in params]
        known = {id(p) for other in self.param_groups for p in other["params"]}
        for param in params:
            _check_parameter(type(self).__name__, param)
            if id(param) in known:
                raise ValueError("a parameter appears in more than one place of the groups")
            known.add(id(param))
        options = {**self.defaults, **group, "params": params}
        self.check_options(options)
        self.param_groups.append(options)

    # -- what subclasses say ------------------------------------------------------------------
    def check_options(self, options: Mapping[str, Any]) -> None:
        """Raise ValueError for options outside their range."""
        for name in ("lr", "weight_decay", "eps", "momentum"):
            if name in options and not options[name] >= 0:
                raise ValueError(f"{type(self).__name__}: {name}={options[name]!r} is negative")
        for beta in options.get("betas", ()):
            if not 0 <= beta < 1:
                raise ValueError(f"{type(self).__name__}: betas must lie in [0, 1), not {beta!r}")

    def initial_state(self, param: Any, options: Mapping[str, Any]) -> dict[str, Any]:
        """The state arrays before the first step."""
        return {}

    def numbers(self, options: Mapping[str, Any], step: int) -> dict[str, float]:
        """The numbers of step 1, 2, ... that the rule reads beside the constant options."""
        return {"lr": float(options["lr"])}

    # -- what users call ----------------------------------------------------------------------
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; gives what ``closure``, if any, returned.

        ``data`` of a parameter becomes a new array; the old one stays as it was. Raises GraphError
        if no parameter has a gradient.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        if all(param.grad is None for param in self.parameters()):
            raise GraphError(
                f"{type(self).__name__}.step: no parameter has a gradient",
                hint="call loss.backward() first; was the loss computed from these parameters?",
            )
        for group in self.param_groups:
            known: dict[int, dict[str, Any]] = {}
            for param in group["params"]:
                if param.grad is not None:
                    self._update(param, group, known)
        return loss

    def _update(self, param: Tensor, group: dict[str, Any], known: dict[int, Any]) -> None:
        state = dict(self.state_of(param, group))
        step = state.pop("step") + 1
        state = {name: beside(param.data, array) for name, array in state.items()}
        if step not in known:
            known[step] = {**group, **self.numbers(group, step)}
            del known[step]["params"]
        grad = param.grad.data if isinstance(param.grad, Tensor) else param.grad
        options, rule = known[step], type(self).rule
        if target_of([param.data]) == "numpy":
            grad = -grad if group["maximize"] else grad
            param.data, new = rule(param.data, grad, state, options)
        else:  # numbers of a step as variables: a constant would be another program at every step
            kind = param.dtype.type
            numbers = {name: kind(options[name]) for name in self.numbers(group, step)}
            grad = on_arrays(np.negative, grad) if group["maximize"] else grad
            param.data, new = on_arrays(rule, param.data, grad, state, options | numbers)
        self.state[param] = {**new, "step": step}

    def state_of(self, param: Tensor, group: Mapping[str, Any]) -> dict[str, Any]:
        """The state of a parameter, made if there is none yet."""
        if param not in self.state:
            like = np.broadcast_to(np.zeros((), param.dtype), param.shape)
            state = self.initial_state(like, group)
            self.state[param] = {k: beside(param.data, x) for k, x in state.items()} | {"step": 0}
        return self.state[param]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients, or set them to zero."""
        for param in self.parameters():
            if set_to_none:
                param.grad = None
            elif param.grad is not None:
                param.grad = beside(param.data, np.zeros(param.shape, param.dtype))

    def parameters(self) -> Iterator[Tensor]:
        """All parameters, group by group."""
        for group in self.param_groups:
            yield from group["params"]

    # -- saving -------------------------------------------------------------------------------
    def state_dict(self) -> dict[str, Any]:
        """State and options as plain numbers and NumPy arrays; parameters named by position."""
        position = {id(p): k for k, p in enumerate(self.parameters())}
        hosted = {
            position[id(p)]: {name: moved(value, "cpu") for name, value in state.items()}
            for p, state in self.state.items()
        }
        groups = []
        for group in self.param_groups:
            own = [position[id(p)] for p in group["params"]]
            groups.append({**group, "params": own})
        return {"state": hosted, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from a :meth:`state_dict` of an optimizer with the same groups.

        Raises ValueError where groups or shapes differ.
        """
        given, params = state_dict["param_groups"], list(self.parameters())
        ours = [len(g["params"]) for g in self.param_groups]
        theirs = [len(g["params"]) for g in given]
        if ours != theirs:
            raise ValueError(
                f"{type(self).__name__}: the saved groups hold {theirs} parameters, "
                f"this optimizer's {ours}"
            )
        for position, state in state_dict["state"].items():
            _check_state(params[int(position)], state)
        for group, saved in zip(self.param_groups, given, strict=True):
            options = {name: value for name, value in saved.items() if name != "params"}
            if "betas" in options:
                options["betas"] = tuple(options["betas"])
            group.update(options)
        self.state = {params[int(k)]: dict(s) for k, s in state_dict["state"].items()}

    def __repr__(self) -> str:
        lines = []
        for group in self.param_groups:
            options = ", ".join(f"{k}={v!r}" for k, v in group.items() if k != "params")
            lines.append(f"  {len(group['params'])} parameters: {options}")
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])


def _check_parameter(name: str, param: Any) -> None:
    if not isinstance(param, Tensor):
        raise TypeError(
            f"{name} optimizes tensors, not {type(param).__name__}\n"
            "  hint: pass model.parameters(), or groups of them"
        )
    if not param.is_leaf:
        raise ValueError(
            f"{name} cannot optimize the result of a recorded operation\n"
            "  hint: pass the tensor that it was computed from, or its .detach()"
        )


def _check_state(param: Tensor, state: Mapping[str, Any]) -> None:
    for name, value in state.items():
        if name != "step" and np.shape(value) != param.shape:
            raise ValueError(
                f"state {name} of shape {np.shape(value)} for a parameter of shape {param.shape}"
            )
