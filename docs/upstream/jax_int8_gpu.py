# KERAS_BACKEND: jax
"""On a GPU a product of int8 matrices is twice what it should be.

Where 4 does not divide a row's length. XLA's Triton kernels are at fault: with
XLA_FLAGS=--xla_gpu_enable_triton_gemm=false the numbers are right.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np

if jax.default_backend() != "gpu":
    print("no GPU")
    sys.exit(2)
x = np.arange(15, dtype="int8").reshape(3, 5)
y = np.arange(10, dtype="int8").reshape(5, 2)
got = jnp.matmul(x, y, preferred_element_type="int32").tolist()
expected = (x.astype("int32") @ y.astype("int32")).tolist()
print("expected:", expected)
print("got:     ", got)
sys.exit(got == expected)
