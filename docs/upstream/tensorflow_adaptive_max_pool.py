# KERAS_BACKEND: tensorflow
"""ops.adaptive_max_pool to 1, or any divisor of the size, ends the process."""

import subprocess
import sys

call = """
import numpy as np
from keras import ops
x = ops.convert_to_tensor(np.ones((1, 7, 2), "float32"))
print(ops.adaptive_max_pool(x, 1).shape)
"""
process = subprocess.run([sys.executable, "-c", call], capture_output=True)
print("expected: exit code 0")
print("got:      exit code", process.returncode)
sys.exit(process.returncode >= 0)
