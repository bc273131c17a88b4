"""The CUDA target: a Program becomes a launch plan of generated kernels and library calls."""
