# KERAS_BACKEND: jax
"""On a GPU the product of int8 matrices is twice the right value.

This happens if the row length is not divisible by 4. XLA's Triton kernels cause
it: with XLA_FLAGS=--xla_gpu_enable_triton_gemm=false the product is right.
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
