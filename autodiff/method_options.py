"""Names of methods and their options: what a caller wrote, and what there is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from inspect import Parameter, signature
from typing import Any

#: Options that some methods have, with those methods.
ELSEWHERE = {
    "bounds": "'proximal-newton', 'levenberg-marquardt', 'L-BFGS-B' or 'trust-constr'",
    "constraints": "'SLSQP' or 'trust-constr'",
    "l1": "'proximal-newton'",
    "family": "'natural-gradient'",
}


def unknown_method(method: str, known: Iterable[str]) -> ValueError:
    """The error for a method that does not exist."""
    known = list(known)
    near = get_close_matches(method.lower(), known, 3)
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
    return ValueError(f"method {method!r} is none of {', '.join(known)}{hint}")


def check_options(method: str, solver: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Raise TypeError, with what ``solver`` takes, for an option that it lacks or that it needs."""
    parameters = list(signature(solver).parameters.values())[1:]
    known = {each.name: each for each in parameters if each.kind is Parameter.KEYWORD_ONLY}
    takes_any = any(each.kind is Parameter.VAR_KEYWORD for each in parameters)
    for name in options:
        if name not in known and not takes_any:
            raise TypeError(f"{method} has no option {name!r}{_hint(name, known)}{_listed(known)}")
    for name, each in known.items():
        if each.default is Parameter.empty and name not in options:
            raise TypeError(f"{method} needs the option {name!r}{_listed(known)}")


def _hint(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), 1)
    if near:
        return f", did you mean {near[0]!r}?"
    return f", {ELSEWHERE[name]} take it" if name in ELSEWHERE else ""


def _listed(known: Iterable[str]) -> str:
    return f"\n  options: {', '.join(known)}"


__all__ = ["check_options", "unknown_method"]
