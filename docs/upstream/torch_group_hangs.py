# KERAS_BACKEND: torch
"""Deleting a DistributedDataParallel after its gloo process group may hang.

The module holds the last reference to the group. Its destructor keeps the GIL
and waits for gloo's thread, which needs the GIL to release its last tensors.
Delete the module before the group to avoid this.
"""

import subprocess
import sys

CODE = """
import sys, torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
sys.setswitchinterval(100)  # Keeps the GIL, so that the result is certain.
def train():
    module = DistributedDataParallel(torch.nn.Linear(3, 1))
    module(torch.ones(4, 3)).sum().backward()
    dist.all_reduce(torch.zeros(()))
    return module
for _ in range(300):
    dist.init_process_group(store=dist.HashStore(), rank=0, world_size=1)
    module = train()
    dist.destroy_process_group()
    module = None  # One line earlier, nothing hangs.
"""
try:
    subprocess.run([sys.executable, "-c", CODE], check=True, timeout=90)
    got = "an end"
except subprocess.TimeoutExpired:
    got = "no end in 90 seconds"
print("expected: an end")
print("got:     ", got)
sys.exit(got == "an end")
