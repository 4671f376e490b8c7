"""Measures one contender on PyTorch."""

import contextlib
import functools
import itertools
import json
import subprocess
import time

import keras
import numpy as np
import torch

from benchmarks.contenders import kseq as kseq_layers
from benchmarks.gpu import contenders
from benchmarks.gpu.jobs import CONTENDERS
from benchmarks.gpu.page import LIMITS
from benchmarks.gpu.worker import difference
from benchmarks.measure import quartiles
from benchmarks.workloads import Workload
from kseq.ops import plain_forms

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
# Larger than the L2 cache of any GPU today (H200: 60 MB).
CACHE_BYTES = 2**28


def about():
    """The device and the versions of its software."""
    found = {"torch": torch.__version__, "keras": keras.__version__}
    with contextlib.suppress(ImportError):
        import triton

        found["triton"] = triton.__version__
    if not GPU:
        return {"device": "CPU", "versions": found}
    found["CUDA"] = torch.version.cuda
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        query = ["nvidia-smi", "--query-gpu=driver_version"]
        text = subprocess.check_output([*query, "--format=csv,noheader"])
        found["driver"] = text.decode().split()[0]
    return {"device": torch.cuda.get_device_name(), "versions": found}


def save_reference(workload, path):
    """Write the float64 output and gradients of kseq, for other workers."""
    np.savez(path, *_reference(json.dumps(workload)))
    return {}


@functools.lru_cache(maxsize=1)
def _reference(workload):
    workload = Workload(**json.loads(workload))
    with plain_forms():
        return _in_float64(kseq_layers, workload)


def _in_float64(module, workload):
    with _precision("float64"):
        passes = Passes(module, workload, "float64", compiled=False, copies=1)
        found = [passes.forward(0), *passes.train(0)]
    return [x.detach().cpu().numpy() for x in found]


@contextlib.contextmanager
def _precision(name):
    dtype = "float32" if name == "tf32" else name
    keras.config.set_dtype_policy(dtype)
    keras.config.set_floatx(dtype)
    torch.set_float32_matmul_precision("high" if name == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = name == "tf32"
    try:
        yield
    finally:
        keras.config.set_dtype_policy("float32")
        keras.config.set_floatx("float32")


class Passes:
    """Forward, and forward and backward, of a contender on copies of inputs."""

    def __init__(self, module, workload, dtype, compiled, copies=None):
        dtype = getattr(torch, dtype)
        call, self.variables = getattr(module, workload.kind)(
            workload, workload.weights()
        )
        if compiled:
            torch._dynamo.reset()
            call = torch.compile(call, backend=compiled, dynamic=False)
        self.call = call
        self.variables = [
            v.detach().to(DEVICE, dtype).requires_grad_()
            if v.device.type != DEVICE or v.dtype != dtype
            else v
            for v in self.variables
        ]
        arrays = workload.inputs()
        bytes_ = sum(x.nbytes for x in arrays)
        copies = copies or min(8, 1 + CACHE_BYTES // bytes_ if GPU else 2)
        self.inputs = [
            [_tensor(x, dtype) for x in arrays] for _ in range(copies)
        ]
        upstream = torch.from_numpy(workload.upstream())
        self.upstream = upstream.to(DEVICE, dtype)

    def forward(self, i):
        with torch.no_grad():
            return self.call(self._inputs(i), self.variables, False)

    def train(self, i):
        """The gradients with respect to all float inputs and variables."""
        inputs = self._inputs(i)
        output = self.call(inputs, self.variables, True)
        floats = [x for x in inputs if x.is_floating_point()]
        return torch.autograd.grad(
            output, [*floats, *self.variables], self.upstream
        )

    def _inputs(self, i):
        return self.inputs[i % len(self.inputs)]


def _tensor(array, dtype):
    tensor = torch.from_numpy(array)
    if tensor.is_floating_point():
        return tensor.to(DEVICE, dtype, copy=True).requires_grad_()
    return tensor.to(DEVICE, copy=True)


def measure(workload, precision, contender, seconds, backend, launch=None):
    """One row of the results.

    Args:
        seconds: for the calls of each pass.
        backend: of torch.compile.
        launch: how Triton kernels are launched, see `kernels.parts.Launch`.
    """
    key, workload = json.dumps(workload), Workload(**workload)
    if contender == "copy":
        return _measure_copies(workload, precision, seconds)
    same = CONTENDERS[contender].same
    launch = {"precision": _products(precision, contender), **(launch or {})}
    module_in_use = contenders.modules(contender, **launch)
    with _precision(precision), module_in_use as module:
        dtype = "float32" if precision == "tf32" else precision
        compiled = backend if contender == "compiled" else None
        passes = Passes(module, workload, dtype, compiled)
        named = {"forward": passes.forward, "train": passes.train}
        first, results = {}, []
        for name, run in named.items():
            _wait()
            start = time.perf_counter()
            result = run(0)
            _wait()
            first[name] = time.perf_counter() - start
            results += [result] if name == "forward" else result
        results = [x.detach().double().cpu().numpy() for x in results]
        expected = _reference(key) if same else _in_float64(module, workload)
        found = difference(results, expected)
        row = {"first": first, "difference": found}
        if found > LIMITS[precision]:
            return row | {"error": f"differs from float64 by {found:.0e}"}
        for name, run in named.items():
            row[name] = quartiles(times(run, seconds))
        if GPU:
            row["peak_mb"] = _peak_mb(named["train"])
    return row


def _products(precision, contender):
    """The precision of products in Triton kernels."""
    if contender == "triton-tf32x3":
        return "tf32x3"
    return "tf32" if precision == "tf32" else "ieee"


def _measure_copies(workload, precision, seconds):
    item = 2 if precision == "bfloat16" else 4
    row = {}
    for name, size in bytes_moved(workload, item).items():
        copies = min(8, 1 + CACHE_BYTES // size) if GPU else 2
        half = size // 2  # read, and written
        sources = torch.randint(255, (copies, half), dtype=torch.uint8)
        sources = sources.to(DEVICE)
        target = torch.empty_like(sources)

        def run(i, sources=sources, target=target):
            i %= len(sources)
            return target[i].copy_(sources[i])

        run(0)
        if not torch.equal(target[0], sources[0]):
            raise ValueError("the copy differs")
        row[name] = quartiles(times(run, seconds))
    return row


def bytes_moved(workload, item):
    """The least number of bytes that each pass reads and writes.

    Valid steps of the inputs and all weights are read, in training twice, since
    the upstream gradient depends on the output; the output and the gradients
    of everything are written; the upstream gradient is read.
    """
    inputs = workload.inputs()
    (lengths,) = (x for x in inputs if x.dtype == np.int32)
    valid = lengths.mean() / workload.steps
    floats = [x for x in inputs if x.dtype != np.int32]
    read = sum(
        x.size * (1 if workload.kind == "din" and i == 0 else valid)
        for i, x in enumerate(floats)
    )
    weights = sum(w.size for w in workload.weights())
    output = workload.upstream().size
    gradients = sum(x.size for x in floats) + weights
    forward = read + weights + output
    train = 2 * (read + weights) + 2 * output + gradients
    return {"forward": int(item * forward), "train": int(item * train)}


def times(run, seconds):
    """Milliseconds of calls, which take the copies of the inputs in turn."""
    start = time.perf_counter()
    for i in range(3):
        run(i)
    _wait()
    once = (time.perf_counter() - start) / 3
    numbers = range(int(min(max(seconds / once, 5), 100)))
    if not GPU:
        clock = [time.perf_counter()]
        for i in numbers:
            run(i)
            clock.append(time.perf_counter())
        return [1000 * (b - a) for a, b in itertools.pairwise(clock)]
    events = [torch.cuda.Event(enable_timing=True) for _ in (*numbers, 0)]
    events[0].record()
    for i in numbers:
        run(i)
        events[i + 1].record()
    _wait()
    return [a.elapsed_time(b) for a, b in itertools.pairwise(events)]


def _wait():
    if GPU:
        torch.cuda.synchronize()


def _peak_mb(run):
    _wait()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run(0)
    _wait()
    return (torch.cuda.max_memory_allocated() - before) / 1e6
