import platform
import subprocess
import sys

import pytest

CODE = """
import resource, torch
from repro.lab.allocator import keep_freed_memory
from repro.lab.gpt import GPT, GPTShape, initial_weights

torch.set_num_threads(1)
model = GPT(GPTShape(n_layer=2, d_model=16, d_head=8, context=64, vocabulary=256), initial_weights(
    GPTShape(n_layer=2, d_model=16, d_head=8, context=64, vocabulary=256), range(8)))
tokens = torch.zeros(8, 10, 64, dtype=torch.int64)

def faults():
    for step in range(6):
        if step == 3:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        model(tokens, tokens).sum().backward()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

first = faults()
assert keep_freed_memory()
print(first, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_a_training_step_finds_its_memory_again_without_page_faults() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert before > 1_000
    assert after < before / 10
