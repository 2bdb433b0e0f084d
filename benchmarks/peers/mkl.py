"""MKL inside PyTorch asks whether the processor is Intel's before it takes its AVX2 and AVX-512 kernels. On AMD's this
answers yes, so that PyTorch's best can be measured there too. Same as a preloaded library with that one function, without
a compiler; x86-64 Linux only."""

import ctypes
import mmap
from pathlib import Path

import torch

ANSWER_YES = b"\xb8\x01\x00\x00\x00\xc3"  # mov eax, 1; ret
READ_EXECUTE, READ_WRITE_EXECUTE = 5, 7


def answer_as_intel():
    """Must come before the first matrix product. Returns MKL's number of the instruction set it then takes."""
    library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
    asked = ctypes.cast(library.mkl_serv_intel_cpu_true, ctypes.c_void_p).value
    page = ctypes.c_void_p(asked - asked % mmap.PAGESIZE)
    system = ctypes.CDLL(None, use_errno=True)
    # Two pages: the function may lie across a border.
    if system.mprotect(page, 2 * mmap.PAGESIZE, READ_WRITE_EXECUTE) != 0:
        raise OSError(ctypes.get_errno(), "mprotect")
    ctypes.memmove(asked, ANSWER_YES, len(ANSWER_YES))
    system.mprotect(page, 2 * mmap.PAGESIZE, READ_EXECUTE)
    return library.mkl_serv_cpu_detect()
