# KERAS_BACKEND: torch
"""torch.export.save ends the process if the disk is full.

`torch.save` raises a RuntimeError instead.
"""

import subprocess
import sys

CODE = """
import resource, tempfile, torch
with tempfile.TemporaryDirectory() as folder:
    program = torch.export.export(torch.nn.Linear(3, 3), (torch.ones(3),))
    # Simulates a full disk: no file can grow beyond 100 bytes.
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
    try:
        torch.export.save(program, folder + "/program.pt2")
    except Exception:
        pass
"""
got = subprocess.run([sys.executable, "-c", CODE], capture_output=True)
print("expected: exit status 0")
print("got:      exit status", got.returncode)
sys.exit(got.returncode == 0)
