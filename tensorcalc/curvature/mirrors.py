"""Mirror symmetry of quadratic forms: the template ``A' D A`` in any number of axes.

Source: Klaus, Merk, Wiedom, Laue, Giesen, *Convexity Certificates from Hessians* (NeurIPS 2022),
section 4, generalised from matrices to index notation: a map of labels that swaps every row with
its column and leaves the product as it was splits the factors into

- *halves*: pairs of one node, one of the pair on the side of the rows, the other on the columns';
- *kernels*: factors mapped to themselves that join both sides;
- the *core*: factors whose labels are all fixed.

The form is positive semidefinite if all kernels are and the core is nonnegative: a kernel between
equal halves is (congruence), products of kernels are (Schur), and so are nonnegative sums of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..nodes import Node
from ..products import axis_classes
from .forms import Factor, Form, Label, plain_factors, tied

#: Assignments tried before the search gives up.
SEARCH_LIMIT = 2000


@dataclass(frozen=True)
class Mirror:
    """A form taken apart; ``tied_rows`` are row labels that are their own column label."""

    form: Form
    core: tuple[Factor, ...]
    halves: tuple[tuple[Factor, Factor], ...]
    kernels: tuple[Factor, ...]
    image: Mapping[Label, Label]
    side: Mapping[Label, int]

    @property
    def tied_rows(self) -> set[Label]:
        """Row labels that are their own column label."""
        return {r for r, c in zip(self.form.rows, self.form.columns, strict=True) if r == c}

    def kernel_axes(self, kernel: Factor) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Axes of a kernel on the side of the rows, and their images."""
        labels = kernel[1]
        rows = tuple(a for a, x in enumerate(labels) if self.side.get(x) == 0)
        return rows, tuple(labels.index(self.image[labels[a]]) for a in rows)


def mirrors(form: Form) -> Iterator[Mirror]:
    """All ways of seeing ``form`` as its own mirror image."""
    form = tied(form)
    image = _start(form)
    if image is not None:
        yield from _Search(form).run(image)


def _start(form: Form) -> dict[Label, Label] | None:
    """Rows swap with columns, batch labels stay; None where that is not a map."""
    image: dict[Label, Label] = {}
    for row, column in zip(form.rows, form.columns, strict=True):
        if image.setdefault(row, column) != column or image.setdefault(column, row) != row:
            return None
    for label in form.batch:
        if image.setdefault(label, label) != label:
            return None
    return image


class _Search:
    """Backtracking over partners of factors; a few factors, so small."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.factors = plain_factors(form)
        self.tried = 0

    def run(self, image: dict[Label, Label]) -> Iterator[Mirror]:
        yield from self._extend(image, frozenset(range(len(self.factors))), {})

    def _extend(
        self, image: dict[Label, Label], open_: frozenset[int], partner: dict[int, int]
    ) -> Iterator[Mirror]:
        self.tried += 1
        if self.tried > SEARCH_LIMIT:
            return
        if not open_:
            found = self._taken_apart(image, partner)
            if found is not None:
                yield found
            return
        k = max(open_, key=lambda j: (self._known(j, image), -j))
        node, labels = self.factors[k]
        for j in sorted(open_, key=lambda j: (j == k) != self._all_fixed(k, image)):
            if self.factors[j][0] is not node:
                continue
            for permuted in _orders(node, self.factors[j][1], j == k):
                extended = _unified(image, labels, permuted)
                if extended is not None:
                    yield from self._extend(extended, open_ - {j, k}, {**partner, k: j})

    def _known(self, k: int, image: Mapping[Label, Label]) -> tuple[int, int]:
        labels = self.factors[k][1]
        moved = sum(x in image and image[x] != x for x in labels)
        return moved, sum(x in image for x in labels)

    def _all_fixed(self, k: int, image: Mapping[Label, Label]) -> bool:
        return all(image.get(x, x) == x for x in self.factors[k][1])

    def _taken_apart(self, image: dict[Label, Label], partner: dict[int, int]) -> Mirror | None:
        halves: list[tuple[Factor, Factor]] = []
        kernels: list[Factor] = []
        core: list[Factor] = []
        for k, j in partner.items():
            factor, other = self.factors[k], self.factors[j]
            fixed = all(image[x] == x for x in factor[1])
            if k != j:
                if fixed:
                    core += [factor, other]
                else:
                    halves.append((factor, other))
            else:
                (core if fixed else kernels).append(factor)
        side = _sides(self.form, image, [pair[0][1] for pair in halves])
        if side is None:
            return None
        return Mirror(self.form, tuple(core), tuple(halves), tuple(kernels), image, side)


def _orders(node: Node, labels: tuple[Label, ...], itself: bool) -> Iterator[tuple[Label, ...]]:
    """The labels as the factor's axes may be read; a kernel may be read in reverse."""
    yield labels
    if node.ndim < 2:
        return
    classes = axis_classes(node)
    if classes is not None and classes[-1] == classes[-2]:
        yield (*labels[:-2], labels[-1], labels[-2])
    elif itself:
        yield from _involutions(labels)


def _involutions(labels: tuple[Label, ...]) -> Iterator[tuple[Label, ...]]:
    """Axes swapped in pairs, for a factor of up to four axes that the kernel test will judge."""
    rank = len(labels)
    pairs = [(a, b) for a in range(rank) for b in range(a + 1, rank)]
    for a, b in pairs:
        yield _swapped(labels, [(a, b)])
    for first in pairs:
        for second in pairs:
            if first < second and not set(first) & set(second):
                yield _swapped(labels, [first, second])


def _swapped(labels: tuple[Label, ...], pairs: list[tuple[int, int]]) -> tuple[Label, ...]:
    result = list(labels)
    for a, b in pairs:
        result[a], result[b] = result[b], result[a]
    return tuple(result)


def _unified(
    image: Mapping[Label, Label], labels: tuple[Label, ...], targets: tuple[Label, ...]
) -> dict[Label, Label] | None:
    """``image`` extended by ``labels -> targets`` and back, or None if that contradicts it."""
    result = dict(image)
    for label, target in zip(labels, targets, strict=True):
        if result.setdefault(label, target) != target or result.setdefault(target, label) != label:
            return None
    return result


def _sides(
    form: Form, image: Mapping[Label, Label], halves: list[tuple[Label, ...]]
) -> dict[Label, int] | None:
    """0 for labels on the side of the rows, 1 for the columns'; None if a half is on both."""
    side: dict[Label, int] = {}
    for row, column in zip(form.rows, form.columns, strict=True):
        if row != column and (side.setdefault(row, 0), side.setdefault(column, 1)) != (0, 1):
            return None  # a row is tied to the column of another row: a transposition
    links = [[x for x in labels if image[x] != x] for labels in halves]
    moved = [x for x in image if image[x] != x]
    while True:
        if not _spread(side, links, image):
            return None
        rest = [x for x in moved if x not in side]
        if not rest:
            return side
        side[rest[0]], side[image[rest[0]]] = 0, 1


def _spread(side: dict[Label, int], links: list[list[Label]], image: Mapping[Label, Label]) -> bool:
    """Labels of one half are on one side; whether that can be."""
    changed = True
    while changed:
        changed = False
        for link in links:
            known = {side[x] for x in link if x in side}
            if len(known) > 1:
                return False
            for x in link:
                if known and x not in side:
                    (side[x],) = known
                    side[image[x]] = 1 - side[x]
                    changed = True
    return True
