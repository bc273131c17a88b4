"""The peers: one module each, found by its contract.

A module offers ``NAME``, ``PACKAGE`` (whose absence leaves it out, by name) and
``contestant(model, result, arguments, direction)``: a call without arguments that gives the result
in arrays, or raises :class:`~benchmarks.calling.Refused` with the reason. All work that a user does
once, such as placing arrays on a device, is done before; compiling is left to the first call.
"""
