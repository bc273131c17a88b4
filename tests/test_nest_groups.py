"""Nests that share a pass over memory, and nests that do not."""

import pytest

from backends.nest_groups import groups
from backends.steps import Nest, Term, Value, load

X = Value("X", (50, 10))
p = Value("p", (50, 10))
SIZES = {0: 50, 1: 10, 2: 10}
TERM = Term("multiply", (load(X, (0, 1)), load(p, (0, 2))))


def nest(name, output, reduced=()):
    """The products ``X[s, i] p[s, c]``, or sums of them."""
    extents = tuple(SIZES[label] for label in output)
    return Nest(Value(name, extents), TERM, output, reduced, {k: SIZES[k] for k in SIZES})


@pytest.mark.parametrize(
    ("first", "second", "passes"),
    [
        (((0, 1, 2), ()), ((0, 1, 2), ()), 1),
        (((0, 1, 2), ()), ((1, 0, 2), ()), 1),
        (((0, 1, 2), ()), ((0, 2, 1), ()), 2),  # one of the two would be written in strides
    ],
)
def test_results_that_lie_alike_are_made_in_one_pass(first, second, passes):
    assert len(list(groups([nest("a", *first), nest("b", *second)]))) == passes
