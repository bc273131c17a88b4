"""Matrix products with windows: copied block by block, so that a block is read from cache.

A window of an array, ``x[b, y + u, c]``, is a view with more entries than the array has. BLAS wants
a matrix, hence a copy; all of it at once would be slow to write and large to hold (25 times the
input for kernels of 5x5). The helpers copy some leading indices, multiply them, and go on.
"""

from __future__ import annotations

from tensorcalc.operations.helpers import helper

helper("""
def volume(shape):
    total = 1
    for size in shape:
        total *= size
    return total
""")
helper("""
def run_length(x):
    # Entries that lie side by side at the end of an array.
    count = 1
    for size, stride in zip(reversed(x.shape), reversed(x.strides)):
        if size > 1 and stride != count * x.itemsize:
            break
        count *= size
    return count
""")
helper("""
def as_matrix(x, count):
    # Rows are the first axes, columns the others; copied the way in which longer pieces lie.
    rows, columns = volume(x.shape[:count]), volume(x.shape[count:])
    turned = x.transpose(*range(count, x.ndim), *range(count))
    if run_length(x) < 32 and run_length(turned) > 2 * run_length(x):
        return turned.reshape(columns, rows).T
    return x.reshape(rows, columns)
""")
helper("""
def rows_by_blocks(a, count, b):
    # a[rows..., summed...] times the matrix b[summed, columns].
    size, item = len(a), max(a[:1].size, 1)
    rows = volume(a.shape[1:count])
    out = np.empty((size * rows, b.shape[1]), np.result_type(a, b))
    step = max(2**16 // item, 1)
    for k in range(0, size, step):
        part = a[k : k + step]
        np.dot(as_matrix(part, count), b, out[k * rows : (k + len(part)) * rows])
    return out
""")
helper("""
def sums_by_blocks(a, b, count):
    # The transpose of a[summed..., rows...] times b[summed..., columns...].
    step = max(2**16 // max(a[:1].size, b[:1].size, 1), 1)
    parts = [slice(k, k + step) for k in range(0, max(len(a), 1), step)]
    out = as_matrix(a[parts[0]], count).T.dot(as_matrix(b[parts[0]], count))
    for part in parts[1:]:
        out += as_matrix(a[part], count).T.dot(as_matrix(b[part], count))
    return out
""")
