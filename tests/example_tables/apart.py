"""Where forward, reverse and cross-country mode meet in value but not in one node, and why.

Each reason has the examples it holds for, with the last order of derivative at which they meet.
"""

APART: dict[str, dict[str, int]] = {
}

#: Order up to which the modes of an example meet, if that is less than 2.
MEETS = {name: order for names in APART.values() for name, order in names.items()}
