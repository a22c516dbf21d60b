"""The reference endpoint asks the kernel for a short scheduling slice."""

import ctypes
import os
import platform
import struct

import pytest

from endpoints.reference.punctual import SLICE_NS
from tests.endpoints.children import Reference

SCHED_GETATTR = {"x86_64": 315, "aarch64": 275}
LINUX = tuple(int(number) for number in platform.release().split("-")[0].split(".")[:2] if number.isdecimal())


def scheduling(pid: int) -> tuple[int, int]:
    """The nice value and the slice (ns) of a process: fields of the kernel's struct sched_attr."""
    attributes = ctypes.create_string_buffer(48)
    number = ctypes.c_long(SCHED_GETATTR[platform.machine()])
    assert ctypes.CDLL(None).syscall(number, pid, attributes, 48, 0) == 0
    _, _, _, nice, _, slice_ns, _, _ = struct.unpack("=IIQiIQQQ", attributes.raw)
    return nice, slice_ns


@pytest.mark.skipif(
    platform.system() != "Linux" or platform.machine() not in SCHED_GETATTR or LINUX < (6, 12),
    reason="slices are those of Linux 6.12 and later",
)
def test_the_slice_is_short_and_the_nice_value_as_it_was(reference: Reference) -> None:
    child = reference()
    assert scheduling(child.process.pid) == (os.getpriority(os.PRIO_PROCESS, 0), SLICE_NS)
