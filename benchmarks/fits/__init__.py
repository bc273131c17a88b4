"""Models fitted by second-order methods, each beside a trusted implementation of the same fit."""
