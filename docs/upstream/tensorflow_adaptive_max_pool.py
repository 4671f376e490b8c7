# KERAS_BACKEND: tensorflow
"""ops.adaptive_max_pool to the size of the input ends the process."""

import subprocess
import sys

call = """
import numpy as np
from keras import ops
print(ops.adaptive_max_pool(np.ones((1, 7, 2), "float32"), 7).shape)
"""
process = subprocess.run([sys.executable, "-c", call], capture_output=True)
print("expected: exit code 0")
print("got:      exit code", process.returncode)
sys.exit(process.returncode >= 0)
