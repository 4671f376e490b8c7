# KERAS_BACKEND: openvino
"""A product whose one matrix has no rows ends the process (SIGFPE)."""

import subprocess
import sys

CODE = """
import numpy as np
from keras import ops
x = ops.convert_to_tensor(np.ones((2, 0, 3), "float32"))
y = ops.convert_to_tensor(np.ones((3, 4), "float32"))
print(ops.convert_to_numpy(ops.reshape(x, (-1, 3)) @ y).shape)
"""
got = subprocess.run(
    [sys.executable, "-c", CODE], capture_output=True
).returncode
print("expected: exit status 0")
print("got:      exit status", got)
sys.exit(got == 0)
