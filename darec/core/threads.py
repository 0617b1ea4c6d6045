"""How many CPU threads torch uses, in a whole process or for the length of a block."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def begin_to_train(threads: int) -> None:
    """Let torch use this many threads in this process, and read denormal numbers as zero.

    A new thread inherits this setting from the thread that starts it. Call this before torch
    starts threads, so that their results do not depend on what the process did before.
    """
    torch.set_flush_denormal(True)
    torch.set_num_threads(threads)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use this many threads in the block, and the earlier number after it."""
    with one_torch_thread():
        begin_to_train(count)
        yield


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Let torch use one thread in the block: several may round a sum in another way."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
