"""Measures kseq on JAX."""

import time

import jax
import jax.numpy as jnp
import keras
import numpy as np

from benchmarks.contenders import kseq
from benchmarks.gpu.page import LIMITS
from benchmarks.gpu.worker import difference
from benchmarks.measure import quartiles
from benchmarks.workloads import Workload

CALLS = 10  # between two readings of the clock


def about():
    """The device and the version of JAX."""
    device = jax.devices()[0]
    return {
        "device": "CPU" if device.platform == "cpu" else device.device_kind,
        "versions": {"jax": jax.__version__},
    }


def measure(workload, precision, contender, seconds, reference):
    """One row of the results, compared with the file of `save_reference`."""
    workload = Workload(**workload)
    dtype = "float32" if precision == "tf32" else precision
    keras.config.set_dtype_policy(dtype)
    keras.config.set_floatx(dtype)
    products = {"float32": "highest", "tf32": "tensorfloat32"}.get(precision)
    with jax.default_matmul_precision(products):
        return _measure(workload, precision, dtype, seconds, reference)


def _measure(workload, precision, dtype, seconds, reference):
    call, variables = kseq.__dict__[workload.kind](workload, workload.weights())
    copies = [
        [
            jnp.array(x, dtype if x.dtype == np.float32 else None)
            for x in workload.inputs()
        ]
        for _ in range(4)
    ]
    upstream = jnp.array(workload.upstream(), dtype)
    which = [
        i
        for i, x in enumerate(copies[0])
        if jnp.issubdtype(x.dtype, jnp.floating)
    ]

    def forward(inputs, variables):
        return call(inputs, variables, False)

    def train(inputs, variables):
        def output(floats, variables):
            both = list(inputs)
            for i, x in zip(which, floats, strict=True):
                both[i] = x
            return call(both, variables, True)

        _, pullback = jax.vjp(output, [inputs[i] for i in which], variables)
        floats, weights = pullback(upstream)
        return [*floats, *weights]

    row, results, passes = {"first": {}}, [], {}
    for name, function in {"forward": forward, "train": train}.items():
        start = time.perf_counter()
        compiled = jax.jit(function).lower(copies[0], variables).compile()
        result = jax.block_until_ready(compiled(copies[0], variables))
        row["first"][name] = time.perf_counter() - start
        results += [result] if name == "forward" else result
        passes[name] = compiled
    with np.load(reference) as saved:
        found = difference(results, [*saved.values()])
    row["difference"] = found
    if found > LIMITS[precision]:
        return row | {"error": f"differs from float64 by {found:.0e}"}
    for name, run in passes.items():
        row[name] = quartiles(_times(run, copies, variables, seconds))
    memory = passes["train"].memory_analysis()
    if memory is not None and jax.devices()[0].platform != "cpu":
        peak = memory.temp_size_in_bytes + memory.output_size_in_bytes
        row["peak_mb"] = peak / 1e6
    return row


def _times(run, copies, variables, seconds):
    """Milliseconds of a call, by the clock of the host, of `CALLS` together."""
    found, start = [], time.perf_counter()
    while len(found) < 5 or (
        len(found) < 20 and time.perf_counter() - start < seconds
    ):
        before = time.perf_counter()
        for i in range(CALLS):
            result = run(copies[i % len(copies)], variables)
        jax.block_until_ready(result)
        found.append(1000 * (time.perf_counter() - before) / CALLS)
    return found
