# KERAS_BACKEND: torch
"""A process group of gloo that goes with its DistributedDataParallel may hang.

The last who holds the group ends it. A DistributedDataParallel does so with
Python's lock held, and waits for gloo's thread, which wants the lock to let go
of its last tensors. Where the module goes before the group, nothing hangs.
"""

import subprocess
import sys

CODE = """
import sys, torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
sys.setswitchinterval(100)  # Nobody takes the lock away: not left to chance.
def train():
    module = DistributedDataParallel(torch.nn.Linear(3, 1))
    module(torch.ones(4, 3)).sum().backward()
    dist.all_reduce(torch.zeros(()))
    return module
for _ in range(300):
    dist.init_process_group(store=dist.HashStore(), rank=0, world_size=1)
    module = train()
    dist.destroy_process_group()
    module = None  # One line up, and all 300 end.
"""
try:
    subprocess.run([sys.executable, "-c", CODE], check=True, timeout=90)
    got = "an end"
except subprocess.TimeoutExpired:
    got = "no end in 90 seconds"
print("expected: an end")
print("got:     ", got)
sys.exit(got == "an end")
