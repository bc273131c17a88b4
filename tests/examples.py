"""EXAMPLES: the expressions that the checks of derivatives, targets and printers share.

Each row is an :class:`Example`: a formula in plain NumPy, the variable to differentiate by, test
values, and what is known of the derivatives. ``BY_NAME`` finds one.
"""

from .example_tables.apart import APART, MEETS
from .example_tables.calculus import CALCULUS
from .example_tables.cookbook import COOKBOOK
from .example_tables.example import NUMPY, Example, sample
from .example_tables.learning import LEARNING

EXAMPLES: list[Example] = [*COOKBOOK, *LEARNING, *CALCULUS]
BY_NAME: dict[str, Example] = {example.name: example for example in EXAMPLES}

__all__ = ["APART", "BY_NAME", "EXAMPLES", "MEETS", "NUMPY", "Example", "sample"]
