"""Losses that every contestant computes: one module each, found by its contract.

A module offers ``NAME``, ``SIZES``, ``make(size, rng)``, the arguments in float64, of which the
first is differentiated, and ``loss(np, *arguments)`` in the spelling that NumPy shares with
``jax.numpy``, ``autograd.numpy`` and (through a few synonyms) torch and PyTensor. Optional names:

- ``NEWTON``: False where the Hessian of the example is not positive definite;
- ``HESSIAN_SIZES``: the sizes at which a dense Hessian is asked for;
- ``jax_loss(jax, ...)``, ``torch_loss(torch, ...)``: what users of these write instead.
"""
