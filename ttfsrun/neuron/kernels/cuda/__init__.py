"""The kernels on GPUs of NVIDIA: the same source, compiled for one lane, one item for each thread.

ptx.py      the assembly language of these GPUs, by the LLVM that comes with numba
driver.py   the part of CUDA's driver that loads and starts it
launch.py   kernels with torch tensors as arguments
"""
