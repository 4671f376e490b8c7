"""PyTorch ends the process where the disk is full: `torch.export.save`.

    python docs/upstream/torch_export_full_disk.py

ends by SIGABRT (seen with torch 2.13.0): the archive's writer throws while it
is destroyed. `torch.save` raises a RuntimeError, which can be caught.

In kseq: `kseq.export.export` writes beside the old file, which so is whole.
"""

import resource
import tempfile
from pathlib import Path

import torch

with tempfile.TemporaryDirectory() as folder:
    program = torch.export.export(torch.nn.Linear(3, 3), (torch.ones(3),))
    # As a full disk: no file grows beyond 100 bytes.
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
    try:
        torch.export.save(program, Path(folder) / "program.pt2")
    except Exception as error:
        print("mended: it raises", repr(error))
