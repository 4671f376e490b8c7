# KERAS_BACKEND: openvino
"""A product and a sum of empty tensors write outside their memory.

A signal ends the process; which one depends on the processor.
"""

import subprocess
import sys

CODE = """
import numpy as np
from keras import ops
x = ops.convert_to_tensor(np.ones((2, 1, 0, 3), "float32"))
y = x @ (ops.ones((2, 1, 3, 4)) * 2.0) + ops.ones((2, 1, 1, 4))
print(ops.convert_to_numpy(y).shape)
"""
run = [sys.executable, "-c", CODE]
got = subprocess.run(run, capture_output=True).returncode
print("expected: exit status 0")
print("got:      exit status", got)
sys.exit(got == 0)
