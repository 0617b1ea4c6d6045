"""How many threads torch has, and how they read denormal numbers."""

import subprocess
import sys

import pytest
import torch

from darec.core.threads import one_torch_thread, torch_threads

DENORMAL = """
import torch
from darec.core.threads import begin_to_train
begin_to_train(2)
print(int((torch.full((1_000_000,), 1e-40) * 0.5).count_nonzero()))
"""


@pytest.mark.skipif(not torch.set_flush_denormal(False), reason="this CPU keeps denormal numbers")
def test_every_thread_reads_denormal_numbers_as_zero():
    ended = subprocess.run(
        [sys.executable, "-c", DENORMAL], capture_output=True, text=True, check=True
    )
    assert ended.stdout == "0\n"


def test_a_block_leaves_as_many_threads_as_before():
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        _ = 1 / 0
    assert torch.get_num_threads() == before


def test_a_block_of_one_thread_leaves_as_many_as_before():
    torch.set_num_threads(2)
    with one_torch_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)  # as the other tests have it
