"""The calls of Keras's public functions that the scoreboard makes.

`rows()` gives each function and its calls. Most calls come from the function's
signature; `OPS`, `LAYERS` and `LOSSES` have those that do not.
"""

import functools
import inspect
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
from keras import ops

BOTH = "forward gradients"
FORWARD = "forward"


@dataclass(frozen=True)
class Call:
    """A call: a name for its inputs, the arguments, and what to compute."""

    inputs: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    kinds: str = BOTH
    dtypes: str = "float32 float64"
    function: Any = None  # instead of the row's
    makes: bool = False  # whether `function` makes the layer


def call(*args: Any, **kwargs: Any) -> Call:
    return Call("normals", args, kwargs)


def named(inputs: str, *args: Any, kinds: str = BOTH, **kwargs: Any) -> Call:
    return Call(inputs, args, kwargs, kinds, "float32")


def of(function: Any, *args: Any) -> list[Call]:
    """A call of a function that uses the row's."""
    return [Call("normals", args, function=function)]


def normal(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def ints(*shape: int, low: int = 0, high: int = 5, seed: int = 0) -> Any:
    random = np.random.default_rng([seed, *shape])
    return random.integers(low, high, shape).astype("int32")


def positive(*shape: int, seed: int = 0) -> Any:
    return np.exp(normal(*shape, seed=seed) / 2)


def symmetric(n: int) -> Any:
    x = normal(2, n, n)
    return x @ x.swapaxes(1, 2) + np.eye(n)


def array(*values: Any) -> Any:
    return np.array(values)


X, Y = normal(3, 4), normal(3, 4, seed=1)
TIES = array([-2, -1, -0.5, 0.0], [0.5, 0.5, 1, 0], [2, 2, -1, 1])
OTHER_TIES = array([-2, 1, 0.5, 0.0], [0.5, -0.5, 1, 0], [1, 2, -1, 0])
SPECIAL = array([np.nan, np.inf, -np.inf, 0.0], [-0.0, 1, np.nan, 2], [3, 1, 2, 1])
OTHER_SPECIAL = array([1, np.inf, 1, 0.0], [0.0, np.nan, np.nan, -1], [1, 2, 0, 1])
INTS = array([-3, -1, 0, 1], [2, 7, 7, -1], [5, 4, 4, 1]).astype("int32")
OTHER_INTS = array([2, -1, 3, 1], [-2, 2, 7, 5], [1, 3, 4, 2]).astype("int32")
BOOLS = array([True, False, True, True], [False, False, True, False])
IMAGE = np.random.default_rng(5).uniform(size=(2, 6, 8, 3))
ROW = normal(5)

# Parameters that take a tensor, and their second one.
ONE = ("x", "a", "array", "tensor", "images", "inputs")
TWO = (("x1", "x2"), ("x", "y"))


def automatic(function: Any) -> list[Call]:
    """Calls that follow from a function's signature; none if none does."""
    parameters = inspect.signature(function).parameters
    required = [n for n, p in parameters.items() if p.default is p.empty]
    if len(required) == 1 and required[0] in ONE:
        calls = [
            call(X),
            named("ties and zeros", TIES),
            named("NaN and infinity", SPECIAL, kinds=FORWARD),
            named("integers", INTS, kinds=FORWARD),
        ]
        axis = parameters.get("axis")
        if axis is not None:
            other = 0 if axis.default == -1 else -1
            calls += [
                call(X, axis=other),
                named("ties and zeros", TIES, axis=other),
                named("bools", BOOLS, kinds=FORWARD),
                named("no rows", np.zeros((0, 4)), kinds=FORWARD),
            ]
        return calls
    if tuple(required) in TWO:
        return [
            call(X, Y),
            named("ties and zeros", TIES, OTHER_TIES),
            named("NaN and infinity", SPECIAL, OTHER_SPECIAL, kinds=FORWARD),
            named("integers", INTS, OTHER_INTS, kinds=FORWARD),
            named("integers and floats", INTS, TIES, kinds=FORWARD),
        ]
    return []


def bits(other: Any = OTHER_INTS) -> list[Call]:
    return [named("integers", INTS, other), named("bools", BOOLS, ~BOOLS)]


def shift() -> list[Call]:
    return [named("integers", INTS, abs(OTHER_INTS) % 5)]


def many(*shapes: Any) -> list[Call]:
    """A list of tensors as the first argument."""
    xs = [normal(*s, seed=i) for i, s in enumerate(shapes)]
    return [call(xs), named("integers", [INTS, OTHER_INTS], kinds=FORWARD)]


def segment() -> list[Call]:
    ids = array(0, 0, 2, 2, 4).astype("int32")
    return [
        call(normal(5, 2), ids, 5),
        named("ties and zeros", array([1, 0], [1, 0], [2, 2], [0, 2], [1, 1.0]), ids, 5),
        named("integers", ints(5, 2, low=-3), ids, 5, kinds=FORWARD),
    ]


def quantiles(q: float, last: float) -> list[Call]:
    with_nan = np.where(X > 1, np.nan, X)
    return [
        call(X, q),
        call(X, array(q, last), axis=1),
        named("ties and zeros", TIES, q, axis=0),
        named("NaN and infinity", with_nan, q, axis=1),
        *(call(ROW, q, method=m) for m in ("lower", "higher", "nearest", "midpoint")),
    ]


def pool(*sizes: Any) -> list[Call]:
    return [
        *(call(normal(2, 7, 3), *size) for size in sizes),
        call(normal(2, 7, 6, 3), 2),
        named("ties and zeros", TIES[None], 2),
        named("NaN and infinity", SPECIAL[None], 2, kinds=FORWARD),
        call(normal(2, 7, 3), 3, strides=2, padding="same"),
    ]


def adaptive() -> list[Call]:
    x = normal(2, 7, 3)
    return [
        *(call(x, n) for n in (1, 3, 5)),
        named("the size of the input", x, 7),
        call(normal(2, 7, 6, 3), (2, 5)),
    ]


def conv(kernel: Any, *more: Any) -> list[Call]:
    return [
        call(normal(2, 7, 3), kernel, *more),
        call(normal(2, 7, 3), kernel, *more, strides=2, padding="same"),
        call(normal(2, 7, 3), kernel, *more, padding="same", dilation_rate=2),
    ]


def norm_calls(**kwargs: Any) -> list[Call]:
    return [
        call(X, **kwargs),
        named("zeros", np.zeros((2, 4)), **kwargs),
        named("offset of 1000", X + 1000, **kwargs),
    ]


def crossentropy(target: Any, output: Any) -> list[Call]:
    return [
        call(target, output),
        call(target, normal(*output.shape), from_logits=True),
        named("zeros and ones", target, np.round(output)),
        named("large logits", target, 200 * normal(*output.shape), from_logits=True),
    ]


def attention() -> list[Call]:
    q, k, v = (normal(2, 3, 2, 4, seed=i) for i in range(3))
    mask = np.ones((2, 1, 3, 3), bool)
    mask[0, :, :, 1:] = False
    empty = mask.copy()
    empty[1, :, 1] = False
    return [
        call(q, k, v),
        call(q, k, v, mask=mask),
        call(q, k, v, bias=normal(2, 2, 3, 3)),
        call(q, k, v, is_causal=True),
        named("a row that is masked", q, k, v, mask=empty),
        named("offset of 100", q + 100, k, v),
    ]


def resizes() -> list[Call]:
    return [
        call(IMAGE, (4, 4)),
        call(IMAGE, (12, 10)),
        *(
            call(IMAGE, (4, 12), interpolation=name)
            for name in ("nearest", "bicubic", "lanczos3", "lanczos5", "area")
        ),
        call(IMAGE, (4, 5), antialias=True),
        named("the size of the input", IMAGE, (6, 8)),
        call(IMAGE, (4, 4), crop_to_aspect_ratio=True),
        call(IMAGE, (4, 4), pad_to_aspect_ratio=True),
    ]


def affine() -> list[Call]:
    t = array([1.0, 0.2, -1.5, 0.1, 0.9, 0.5, 0, 0], [1, 0, 0, 0, 1, 0, 0, 0])
    modes = ("constant", "reflect", "wrap", "mirror", "nearest")
    return [
        call(IMAGE, t),
        *(named(f"fill_mode={m!r}", IMAGE, t, fill_mode=m) for m in modes[1:]),
        named("nearest", IMAGE, t, interpolation="nearest"),
    ]


def coordinates() -> list[Call]:
    at = np.random.default_rng(3).uniform(-2, 8, (2, 5))
    modes = ("constant", "reflect", "wrap", "mirror", "nearest")
    x = normal(6, 7)
    return [
        *(call(x, at, 1, fill_mode=m) for m in modes),
        named("order 0", x, at, 0),
        named("whole numbers", x, np.round(at), 1),
    ]


def scatter_updates() -> list[Call]:
    indices = array([0, 1], [2, 3], [0, 1]).astype("int32")
    return [
        call(X, indices[:2], ROW[:2]),
        *(
            named(f"an index twice, {r!r}", X, indices, ROW[:3], reduction=r)
            for r in ("add", "max", "min", "mul")
        ),
    ]


def signals() -> list[Call]:
    pair = (normal(3, 8), normal(3, 8, seed=1))
    return [Call("normals", (pair,)), Call("no imaginary part", ((pair[0], 0 * pair[0]),))]


LOGITS = normal(2, 5, 4)
LABELS = array([1, 2, 0], [3, 3, 1]).astype("int32")
PROBABILITIES = np.exp(normal(3, 4)) / np.exp(normal(3, 4)).sum(-1, keepdims=True)
ONE_HOT = np.eye(4)[[0, 2, 3]]
MATRIX = symmetric(3)
SQUARE = normal(2, 3, 3)
SINGULAR = array([[1.0, 2, 3], [2, 4, 6], [1, 0, 1]])

OPS: dict[str, list[Call]] = {
    "arange": [call(5), call(1.0, 4.0, 0.5)],
    "argpartition": [call(ROW, 2), named("ties and zeros", TIES, 2)],
    "array_split": [call(X, 3, axis=1), named("uneven", ROW, 3)],
    "associative_scan": of(lambda x: ops.associative_scan(ops.add, x), X),
    "average": [call(X), call(X, axis=1, weights=positive(3, 4)), named("integers", INTS)],
    "average_pool": pool((2,), (3, 1)),
    "batch_normalization": [
        call(X, normal(4), positive(4), -1),
        call(X, normal(4), positive(4), -1, offset=normal(4), scale=normal(4)),
        named("variance 0", X, normal(4), np.zeros(4), -1),
    ],
    "bartlett": [call(5), call(1)],
    "binary_crossentropy": crossentropy(np.round(IMAGE[0, 0]), IMAGE[0, 1]),
    "bincount": [
        named("integers", ints(9)),
        named("weights", ints(9), weights=normal(9), minlength=8),
    ],
    "bitwise_and": bits(),
    "bitwise_invert": [named("integers", INTS), named("bools", BOOLS)],
    "bitwise_left_shift": shift(),
    "bitwise_not": [named("integers", INTS), named("bools", BOOLS)],
    "bitwise_or": bits(),
    "bitwise_right_shift": shift(),
    "bitwise_xor": bits(),
    "blackman": [call(5), call(1)],
    "broadcast_to": [call(X, (2, 3, 4))],
    "cast": [
        call(X, "float16"),
        named("whole numbers", 100 * X, "int32"),
        named("NaN and infinity", SPECIAL, "int32"),
        named("NaN and infinity", SPECIAL, "bool"),
        named("negative", X - 3, "uint8"),
    ],
    "categorical_crossentropy": crossentropy(ONE_HOT, PROBABILITIES),
    "cdist": [
        call(normal(3, 2), normal(4, 2)),
        named("equal points", TIES[:, :2], OTHER_TIES[:, :2]),
        named("offset of 1000", normal(3, 2) + 1000, normal(4, 2) + 1000),
    ],
    "cholesky": [call(MATRIX), call(MATRIX, upper=True), named("not positive", -MATRIX)],
    "cholesky_inverse": [call(np.linalg.cholesky(MATRIX)), call(np.linalg.cholesky(MATRIX).swapaxes(1, 2), upper=True)],
    "clip": [
        call(X, -0.5, 0.5),
        named("ties and zeros", TIES, -1.0, 0.5),
        named("NaN and infinity", SPECIAL, -1.0, 1.0),
        named("integers", INTS, -1, 2),
        named("bounds in the wrong order", X, 1.0, -1.0),
    ],
    "concatenate": many((3, 4), (2, 4)),
    "cond": of(lambda x: ops.cond(ops.sum(x) > 0, lambda: ops.sin(x), lambda: x), X),
    "conv": conv(normal(2, 3, 4)),
    "conv_transpose": [
        call(normal(2, 7, 3), normal(2, 4, 3)),
        call(normal(2, 7, 3), normal(3, 4, 3), strides=2, padding="same"),
        call(normal(2, 7, 3), normal(3, 4, 3), strides=2, output_padding=1),
        call(normal(2, 5, 4, 3), normal(2, 3, 4, 3), dilation_rate=2),
    ],
    "convert_to_tensor": [call(X), named("integers", INTS)],
    "corrcoef": [call(X), named("a constant row", array([1.0, 1, 1], [1, 2, 3]))],
    "correlate": [call(ROW, normal(3), mode=m) for m in ("valid", "same", "full")],
    "count_nonzero": [call(X), named("ties and zeros", TIES, axis=1), named("bools", BOOLS)],
    "cross": [call(normal(4, 3), normal(4, 3, seed=1)), named("integers", INTS[:, :3], OTHER_INTS[:, :3])],
    "ctc_decode": [
        named("normals", LOGITS, array(5, 3).astype("int32")),
        named("beam_search", LOGITS, array(5, 3).astype("int32"), strategy="beam_search", beam_width=4, top_paths=2),
    ],
    "ctc_loss": [
        call(LABELS, LOGITS, array(2, 1).astype("int32"), array(5, 4).astype("int32")),
        named("an equal neighbour", LABELS, LOGITS, array(2, 2).astype("int32"), array(5, 5).astype("int32")),
        named("too short", LABELS, LOGITS, array(2, 2).astype("int32"), array(1, 5).astype("int32"), kinds=FORWARD),
    ],
    "depth_to_space": [call(normal(2, 3, 4, 8), 2)],
    "depthwise_conv": conv(normal(2, 3, 2)),
    "det": [call(SQUARE), named("singular", SINGULAR)],
    "diag": [call(ROW), call(X, k=1), call(X, k=-1)],
    "diagflat": [call(X), call(ROW, k=-2)],
    "diff": [call(X), call(X, n=2, axis=0), named("bools", BOOLS), named("integers", INTS)],
    "digitize": [
        named("normals", X, array(-1.0, 0.0, 1.0)),
        named("ties and zeros", TIES, array(-1.0, 0.0, 0.5, 1.0)),
        named("NaN and infinity", SPECIAL, array(-1.0, 0.0, 1.0)),
    ],
    "dot": [call(X, Y.T), call(X, normal(2, 4, 3)), named("integers", INTS, OTHER_INTS.T)],
    "dot_product_attention": attention(),
    "dsplit": [call(normal(2, 3, 4), 2)],
    "dstack": many((3, 4), (3, 4)),
    "eig": [named("normals", SQUARE, kinds=FORWARD)],
    "eigh": [call(MATRIX), named("equal eigenvalues", np.eye(3)[None])],
    "einsum": [
        call("ij,kj->ik", X, Y),
        call("bij,bjk->bik", SQUARE, MATRIX),
        call("ii->i", SQUARE[0]),
        named("integers", "ij,kj->ik", INTS, OTHER_INTS),
    ],
    "erfinv": [call(np.tanh(X)), named("edges", array(-1.0, 0.0, 1.0, 2.0))],
    "expand_dims": [call(X, 1), call(X, (0, -1))],
    "extract_sequences": [call(normal(2, 9), 4, 2)],
    "eye": [call(3), call(2, 4, 1)],
    "fft": signals(),
    "fft2": signals(),
    "ifft2": signals(),
    "floor_divide": [
        call(X, Y),
        named("ties and zeros", TIES, OTHER_TIES),
        named("integers", INTS, OTHER_INTS),
        named("rounded quotients", array(1.0, 0.6, -1.0), array(0.1, 0.2, 0.1)),
    ],
    "fold": [call(normal(2, 12, 8), (4, 5), (2, 2), stride=(2, 1)), call(normal(2, 12, 30), (4, 5), 2, padding=1)],
    "unfold": [call(normal(2, 3, 5, 6), 2), call(normal(2, 3, 5, 6), 3, padding=1, stride=2, dilation=1)],
    "fori_loop": of(lambda x: ops.fori_loop(0, 3, lambda i, s: ops.sin(s), x), X),
    "full": [call((2, 3), 1.5), call((2,), 3), call((2,), True)],
    "full_like": [call(X, 2.5), named("integers", INTS, 3)],
    "gcd": [named("integers", INTS, OTHER_INTS), named("zeros", 0 * INTS, OTHER_INTS)],
    "lcm": [named("integers", INTS, OTHER_INTS), named("zeros", 0 * INTS, OTHER_INTS)],
    "glu": [call(X), call(normal(4, 3), axis=0), named("ties and zeros", TIES), named("NaN and infinity", SPECIAL, kinds=FORWARD)],
    "geomspace": [call(1.0, 8.0, 4), call(1.0, 8.0, 4, endpoint=False)],
    "get_item": [call(X, 1), call(X, (slice(None), -1)), call(X, (slice(None, None, 2), None))],
    "hamming": [call(5), call(1)],
    "hanning": [call(5), call(1)],
    "heaviside": [
        call(X, array(0.5)),
        named("ties and zeros", TIES, array(0.5)),
        named("NaN and infinity", SPECIAL, array(0.5), kinds=FORWARD),
    ],
    "histogram": [
        named("normals", ROW, kinds=FORWARD),
        named("ties and zeros", TIES[0], bins=4, range=(-1, 1), kinds=FORWARD),
        named("equal values", np.ones(4), bins=3, kinds=FORWARD),
        named("integers", INTS[1], bins=4),
    ],
    "hsplit": [call(X, 2)],
    "hstack": many((3, 4), (3, 2)),
    "identity": [call(3)],
    "image.affine_transform": affine(),
    "image.crop_images": [call(IMAGE, top_cropping=1, left_cropping=2, target_height=3, target_width=4)],
    "image.elastic_transform": [],
    "image.extract_patches": [call(IMAGE, 2), call(IMAGE, 3, strides=2, padding="same"), call(IMAGE, 2, dilation_rate=2)],
    "image.extract_patches_3d": [call(normal(1, 4, 4, 4, 2), 2), call(normal(1, 5, 4, 4, 2), 3, padding="same")],
    "image.gaussian_blur": [call(IMAGE), call(IMAGE, kernel_size=(5, 3), sigma=(0.5, 2.0))],
    "image.hsv_to_rgb": [call(IMAGE), named("edges", array([[[0.0, 0, 0], [1, 1, 1], [0.5, 0, 1], [1, 0.5, 0.5]]]))],
    "image.map_coordinates": coordinates(),
    "image.pad_images": [call(IMAGE, top_padding=1, left_padding=2, target_height=9, target_width=11)],
    "image.perspective_transform": [
        call(
            IMAGE[:1],
            array([[0.0, 0], [0, 7], [5, 0], [5, 7]]),
            array([[0.5, 1], [0, 6], [4, 0.5], [5, 7]]),
            interpolation=i,
        )
        for i in ("bilinear", "nearest")
    ],
    "image.resize": resizes(),
    "image.rgb_to_grayscale": [call(IMAGE), named("integers", (255 * IMAGE).astype("uint8"))],
    "image.rgb_to_hsv": [call(IMAGE), named("grey", np.ones((1, 2, 2, 3)) * array(0, 0, 0.0)), named("ties", array([[[0.5, 0.5, 0.1], [1, 0, 1], [0.2, 0.7, 0.7]]]))],
    "image.scale_and_translate": [
        call(IMAGE, (2, 5, 6, 3), array(0.8, 1.2), array(0.5, -1.0), (1, 2), m)
        for m in ("linear", "cubic", "lanczos3")
    ],
    "image.sobel_edges": [call(IMAGE)],
    "image.ssim": [call(np.repeat(np.repeat(IMAGE, 2, 1), 2, 2), np.repeat(np.repeat(IMAGE**2, 2, 1), 2, 2))],
    "in_top_k": [
        named("normals", array(0, 1, 2).astype("int32"), X, 2),
        named("ties and zeros", array(3, 0, 1).astype("int32"), TIES, 2),
    ],
    "inner": [call(X, Y), named("integers", INTS, OTHER_INTS)],
    "inv": [call(SQUARE)],
    "pinv": [call(normal(4, 3)), named("singular", SINGULAR)],
    "irfft": [Call("normals", ((normal(2, 5), normal(2, 5, seed=1)),)), Call("fft_length", ((normal(2, 5), normal(2, 5, seed=1)), 6))],
    "isin": [named("normals", TIES, array(0.5, 2.0)), named("integers", INTS, array(7, 1).astype("int32")), named("inverted", TIES, array(1.0), invert=True)],
    "istft": [Call("normals", ((normal(2, 6, 9), normal(2, 6, 9, seed=1)), 12, 4, 16))],
    "stft": [call(normal(2, 40), 12, 4, 16), call(normal(2, 40), 12, 4, 16, window=None, center=False)],
    "jvp": of(lambda x, t: ops.jvp(ops.sin, (x,), (t,)), X, Y),
    "kaiser": [call(5, 14.0), call(1, 14.0)],
    "layer_normalization": [*norm_calls(), call(X, gamma=normal(4), beta=normal(4)), call(X, axis=0)],
    "ldexp": [call(X, INTS), named("large exponents", X, 40 * INTS)],
    "linspace": [call(0.0, 1.0, 5), call(X, Y, 3, endpoint=False), call(0, 5, 4)],
    "logspace": [call(0.0, 2.0, 4), call(0.0, 2.0, 4, endpoint=False, base=2)],
    "left_shift": shift(),
    "right_shift": shift(),
    "logdet": [call(MATRIX)],
    "lstsq": [call(normal(5, 3), normal(5, 2)), named("singular", SINGULAR, normal(3)), named("more columns", normal(3, 5), normal(3))],
    "lu_factor": [call(SQUARE), named("singular", SINGULAR)],
    "map": of(lambda x: ops.map(ops.sin, x), X),
    "matmul": [
        call(X, Y.T),
        call(normal(2, 3, 4), normal(4, 2)),
        call(normal(4), Y.T),
        named("integers", INTS, OTHER_INTS.T),
        named("offset of 1000", X + 1000, Y.T - 1000),
        named("no rows", np.zeros((0, 4)), Y.T),
    ],
    "max_pool": pool((2,), (3, 1)),
    "adaptive_average_pool": adaptive(),
    "adaptive_max_pool": adaptive(),
    "meshgrid": [call(ROW, normal(3)), call(ROW, normal(3), indexing="ij")],
    "moments": [
        call(X, (0,)),
        call(X, (0, 1), keepdims=True),
        named("offset of 10000", X + 10000, (0,)),
        named("no rows", np.zeros((0, 4)), (0,)),
    ],
    "moveaxis": [call(normal(2, 3, 4), 0, -1)],
    "multi_hot": [named("integers", LABELS, 5), named("ids outside", LABELS - 1, 3)],
    "nan_to_num": [call(X), named("NaN and infinity", SPECIAL), named("NaN and infinity", SPECIAL, nan=1.0, posinf=2.0, neginf=-2.0)],
    "nanpercentile": quantiles(30.0, 50.0),
    "nanquantile": quantiles(0.3, 0.5),
    "percentile": quantiles(30.0, 50.0),
    "quantile": quantiles(0.3, 0.5),
    "ndim": of(lambda x: ops.convert_to_tensor(ops.ndim(x)), X),
    "size": of(lambda x: ops.convert_to_tensor(ops.size(x)), X),
    "shape": of(lambda x: ops.convert_to_tensor(ops.shape(x)), X),
    "nextafter": [named("normals", X, Y), named("ties and zeros", TIES, OTHER_TIES)],
    "norm": [
        call(X),
        *(call(X, ord=o) for o in ("fro", "nuc", 1, 2, -2, np.inf)),
        *(call(X, ord=o, axis=1) for o in (0, 1, 2, 3, -np.inf)),
        named("zeros", np.zeros((2, 3)), axis=1),
    ],
    "normalize": [*norm_calls(), call(X, axis=0, order=1), call(X, order=3)],
    "one_hot": [named("integers", LABELS, 4), named("ids outside", array(-1, 0, 5).astype("int32"), 3), call(LABELS, 4, axis=0)],
    "ones": [call((2, 3)), call((2,), dtype="int32")],
    "zeros": [call((2, 3)), call((2,), dtype="int32")],
    "pad": [
        call(X, ((1, 2), (0, 1))),
        call(X, 1, constant_values=2.0),
        *(call(X, ((1, 2), (0, 1)), mode=m) for m in ("reflect", "symmetric")),
        named("integers", INTS, 1),
    ],
    "polar": [call(positive(3, 4), X)],
    "power": [
        call(positive(3, 4), Y),
        named("ties and zeros", TIES, OTHER_TIES),
        named("NaN and infinity", SPECIAL, OTHER_SPECIAL, kinds=FORWARD),
        named("integers", INTS, abs(OTHER_INTS)),
        named("integers and floats", abs(INTS), TIES, kinds=FORWARD),
    ],
    "psnr": [call(X, Y, 2.0), named("equal", X, X, 2.0)],
    "qr": [call(normal(4, 3)), call(normal(4, 3), mode="complete"), call(normal(3, 4))],
    "rearrange": [call(normal(2, 3, 4), "b h w -> b (h w)"), call(normal(2, 6), "b (h w) -> w b h", h=2)],
    "repeat": [call(X, 2), call(X, 2, axis=1), call(X, array(0, 1, 2).astype("int32"), axis=0)],
    "reshape": [call(X, (2, -1)), call(X, (4, 3))],
    "rms_normalization": [*norm_calls(), call(X, scale=normal(4))],
    "roll": [call(X, 1), call(X, 5, axis=1), call(X, -1, axis=0)],
    "round": [call(X), named("halves", array(-2.5, -1.5, -0.5, 0.5, 1.5, 2.5)), call(10 * X, 1), named("integers", 9 * INTS, -1)],
    "saturate_cast": [named("large", 300 * X, "uint8"), named("NaN and infinity", SPECIAL, "int8"), named("large integers", 1000 * INTS, "uint8")],
    "scan": of(lambda x: ops.scan(lambda c, a: (c + ops.sin(a), c), x[0], x), X),
    "scatter": [
        call(array([0], [2]).astype("int32"), normal(2, 3), (4, 3)),
        named("an index twice", array([0], [2], [0]).astype("int32"), normal(3, 3), (4, 3)),
        named("integers", array([0], [2], [0]).astype("int32"), INTS, (4, 4)),
    ],
    "scatter_update": scatter_updates(),
    "searchsorted": [
        named("normals", np.sort(ROW), normal(3)),
        named("ties and zeros", array(-1.0, 0.0, 0.0, 1.0), array(0.0, 1.0, 2.0), side="right"),
        named("NaN and infinity", array(-1.0, 0.0, np.inf), array(np.nan, np.inf)),
    ],
    "segment_max": segment(),
    "segment_min": segment(),
    "segment_prod": segment(),
    "segment_sum": segment(),
    "select": [call([X > 0, Y > 0], [X, Y]), call([X > 1, Y > 0], [X, Y], default=3.0)],
    "separable_conv": conv(normal(2, 3, 2), normal(1, 6, 4)),
    "slice": [call(X, array(1, 0), (2, 3)), call(X, (1, 2), (2, 2))],
    "slice_update": [call(X, (1, 1), normal(2, 2))],
    "slogdet": [call(SQUARE), named("singular", SINGULAR)],
    "solve": [call(SQUARE, normal(2, 3, 2)), call(SQUARE[0], normal(3))],
    "solve_triangular": [call(np.tril(SQUARE), normal(2, 3, 2), lower=True), call(np.triu(SQUARE), normal(2, 3))],
    "space_to_depth": [call(normal(2, 4, 6, 3), 2)],
    "sparse_categorical_crossentropy": crossentropy(array(0, 2, 3).astype("int32"), PROBABILITIES),
    "split": [call(X, 2, axis=1), call(X, [1, 3], axis=1), named("uneven", ROW, [1, 9])],
    "stack": many((3, 4), (3, 4)),
    "vstack": many((3, 4), (2, 4)),
    "std": [call(X), call(X, axis=0), named("offset of 10000", X + 10000), named("equal values", np.ones((3, 2)), axis=0), named("integers", INTS)],
    "var": [call(X), call(X, axis=0), named("offset of 10000", X + 10000), named("equal values", np.ones((3, 2)), axis=0), named("integers", INTS)],
    "stop_gradient": [call(X)],
    "svd": [
        call(normal(4, 3), full_matrices=False),
        call(normal(4, 3)),
        Call("values", (normal(4, 3),), {"compute_uv": False}),
    ],
    "swapaxes": [call(normal(2, 3, 4), 0, 2)],
    "switch": of(lambda x: ops.switch(1, [ops.sin, ops.cos], x), X),
    "take": [
        call(X, array(0, 2, 2).astype("int32"), axis=0),
        call(X, array(-1, 3).astype("int32"), axis=1),
        call(X, array(11, 0).astype("int32")),
    ],
    "take_along_axis": [call(X, ints(3, 2, high=4), axis=1), named("negative", X, -1 - ints(3, 2, high=4), axis=1)],
    "tensordot": [call(X, Y.T, axes=1), call(normal(2, 3, 4), normal(3, 4, 2)), call(X, Y, axes=[[0], [0]])],
    "threshold": [call(X, 0.5, -1.0), named("ties and zeros", TIES, 0.5, -1.0), named("NaN and infinity", SPECIAL, 0.5, -1.0, kinds=FORWARD)],
    "tile": [call(X, 2), call(X, (2, 1, 3))],
    "top_k": [
        call(X, 2),
        named("ties and zeros", TIES, 3),
        named("NaN and infinity", SPECIAL, 2, kinds=FORWARD),
        named("integers", INTS, 2),
        named("k = n", X, 4),
    ],
    "trapezoid": [call(X), call(X, x=np.sort(Y)), call(X, dx=0.5, axis=0)],
    "tri": [call(3), call(3, 4, 1)],
    "unique": [named("ties and zeros", TIES), named("integers", INTS, return_inverse=True, return_counts=True), named("NaN and infinity", SPECIAL), named("axis", OTHER_TIES, axis=0), named("integers", INTS, size=5)],
    "unravel_index": [named("integers", array(0, 5, 11).astype("int32"), (3, 4)), named("negative", array(-1, 3).astype("int32"), (3, 4))],
    "vander": [call(ROW), call(ROW, N=3, increasing=True)],
    "vdot": [call(X, Y), call(ROW, ROW)],
    "vectorize": of(lambda x: ops.vectorize(lambda a: ops.sum(ops.sin(a)), signature="(n)->()")(x), X),
    "vectorized_map": of(lambda x: ops.vectorized_map(ops.sin, x), X),
    "view": [Call("normals", (X.astype("float32"), "int32"), kinds=FORWARD, dtypes="float32")],
    "view_as_complex": [call(normal(3, 2))],
    "view_as_real": of(lambda x: ops.view_as_real(ops.view_as_complex(x)), normal(3, 2)),
    "real": of(lambda x: ops.real(ops.view_as_complex(x)), normal(3, 2)),
    "imag": of(lambda x: ops.imag(ops.view_as_complex(x)), normal(3, 2)),
    "vsplit": [call(normal(4, 3), 2)],
    "where": [
        call(X > 0, X, Y),
        named("integers", BOOLS, INTS[:2], 1.5),
        named("zeros", TIES == 0, 0.0, TIES),
    ],
    "while_loop": of(lambda x: ops.while_loop(lambda i, s: i < 3, lambda i, s: (i + 1, ops.sin(s)), (0, x))[1], X),
    "matrix_rank": [named("normals", SQUARE), named("singular", SINGULAR)],
    "nonzero": [named("ties and zeros", TIES), named("bools", BOOLS)],
    "array": [call(X), named("integers", INTS)],
    "squeeze": [call(normal(1, 3, 1)), call(normal(1, 3, 1), axis=0)],
    "sinc": [call(X), named("ties and zeros", TIES), named("integers", INTS, kinds=FORWARD)],
    "isclose": [
        named("normals", X, X + 1e-6),
        named("NaN and infinity", SPECIAL, OTHER_SPECIAL),
        named("NaN and infinity", SPECIAL, SPECIAL, equal_nan=True),
        named("integers", INTS, OTHER_INTS),
    ],
    "divide": [
        call(X, Y),
        named("ties and zeros", TIES, OTHER_TIES),
        named("NaN and infinity", SPECIAL, OTHER_SPECIAL, kinds=FORWARD),
        named("integers", INTS, OTHER_INTS, kinds=FORWARD),
        named("division by 0", INTS, 0 * INTS, kinds=FORWARD),
    ],
}

# Functions without a value to compare.
LEFT_OUT = {
    "convert_to_numpy": "returns a NumPy array",
    "custom_gradient": "a decorator",
    "dtype": "returns a string",
    "empty": "its values are undefined",
    "empty_like": "its values are undefined",
    "image.elastic_transform": "random",
    "is_tensor": "returns a bool of Python",
}


def op_names() -> list[str]:
    names = [n for n in dir(ops) if inspect.isfunction(getattr(ops, n))]
    names += [f"image.{n}" for n in dir(ops.image)]
    return sorted(n for n in names if inspect.isfunction(find(ops, n)))


def find(module: Any, name: str) -> Any:
    return functools.reduce(getattr, name.split("."), module)


# Arguments of layers by name, and inputs by the number of dimensions in the
# name, where `LAYERS` has none.
ARGUMENTS = {
    "activation": "tanh",
    "filters": 4,
    "kernel_size": 2,
    "units": 3,
    "pool_size": 2,
    "output_size": 3,
    "rate": 0.5,
    "stddev": 0.5,
    "factor": 0.5,
    "height": 4,
    "width": 4,
    "height_factor": 0.2,
    "width_factor": 0.2,
    "scale": 0.5,
    "n": 3,
    "mode": "horizontal",
}
STEPS = normal(2, 6, 3)
SHAPES = {"1D": (2, 6, 3), "2D": (2, 6, 5, 3), "3D": (1, 4, 5, 4, 2)}
MASK = np.arange(6) < array([4], [0])
PIXELS = np.floor(255 * np.random.default_rng(4).uniform(size=(2, 6, 8, 3)))


def merge(**options: Any) -> list[Any]:
    return [(options, [[X, Y]]), ("ties and zeros", options, [[TIES, OTHER_TIES]])]


def recurrent(**options: Any) -> list[Any]:
    return [
        (options, [STEPS]),
        ({**options, "return_sequences": True, "go_backwards": True}, [STEPS]),
        ("a row that is masked", options, [STEPS], {"mask": MASK}),
        ("unrolled and masked", {**options, "unroll": True, "go_backwards": True}, [STEPS], {"mask": MASK}),
    ]


def cells(name: str) -> list[Any]:
    states = [normal(2, 3, seed=i) for i in range(2 if "LSTM" in name else 1)]
    return [({"units": 3}, [normal(2, 4), states])]


def image(*options: dict[str, Any]) -> list[Any]:
    return [(o, [PIXELS]) for o in options or ({},)]


def attend(*options: dict[str, Any], key: bool = True) -> list[Any]:
    q, v = normal(2, 4, 3), STEPS
    inputs = [[q, v]] if key else [q, v]
    masks = [None, MASK] if key else None
    found: list[Any] = [(o, inputs) for o in options]
    extra = {"mask": masks} if key else {"attention_mask": np.repeat(MASK[:, None], 4, 1)}
    return [*found, ("a row that is masked", options[0], inputs, extra)]


def inner(name: str, **options: Any) -> Any:
    return getattr(keras.layers, name)(**options)


# Per layer: (options, inputs) or (name of the inputs, options, inputs,
# keyword arguments of the call).
LAYERS: dict[str, list[Any]] = {
    "Activation": [({"activation": a}, [X]) for a in ("relu", "softmax")],
    "AdditiveAttention": attend({}),
    "Attention": attend({}, {"use_scale": True, "score_mode": "concat"}),
    "BatchNormalization": [
        ({}, [STEPS]),
        ({}, [normal(2, 4, 5, 3)]),
        ("offset of 1000", {}, [normal(16, 3) + 1000]),
        ("a masked row", {}, [STEPS], {"mask": MASK}),
    ],
    "Bidirectional": [({"layer": lambda: inner("GRU", units=3)}, [STEPS]), ("unrolled", {"layer": lambda: inner("LSTM", units=3, unroll=True)}, [STEPS], {"mask": MASK})],
    "CategoryEncoding": [({"num_tokens": 5}, [LABELS]), ({"num_tokens": 5, "output_mode": "count"}, [LABELS]), ({"num_tokens": 5, "output_mode": "one_hot"}, [LABELS[:, 0]])],
    "CenterCrop": image({"height": 4, "width": 3}, {"height": 9, "width": 9}),
    "ConvLSTM1D": [({"filters": 2, "kernel_size": 2}, [normal(2, 3, 5, 2)])],
    "ConvLSTM2D": [({"filters": 2, "kernel_size": 2}, [normal(1, 3, 4, 5, 2)])],
    "ConvLSTM3D": [({"filters": 2, "kernel_size": 2}, [normal(1, 2, 3, 4, 3, 2)])],
    "ContrastLimitedAdaptiveHistogramEqualization": image({"tile_grid_size": (2, 2)}),
    "Cropping2D": [({"cropping": ((1, 0), (2, 1))}, [IMAGE])],
    "Discretization": [({"bin_boundaries": [-1.0, 0.0, 1.0]}, [X]), ("ties and zeros", {"bin_boundaries": [-1.0, 0.0, 1.0]}, [TIES]), ("NaN and infinity", {"bin_boundaries": [-1.0, 0.0, 1.0]}, [SPECIAL])],
    "Dot": [({"axes": 1}, [[X, Y]]), ({"axes": -1, "normalize": True}, [[X, Y]]), ("zeros", {"axes": 1, "normalize": True}, [[0 * X, Y]])],
    "EinsumDense": [({"equation": "abc,cd->abd", "output_shape": (None, 4), "bias_axes": "d"}, [STEPS])],
    "Embedding": [({"input_dim": 5, "output_dim": 3, "mask_zero": True}, [LABELS]), ("negative ids", {"input_dim": 5, "output_dim": 3}, [LABELS - 1])],
    "ReversibleEmbedding": [({"input_dim": 5, "output_dim": 3}, [LABELS]), ("reverse", {"input_dim": 5, "output_dim": 3}, [normal(2, 4, 3)], {"reverse": True})],
    "GRU": [*recurrent(units=3), ({"units": 3, "reset_after": False}, [STEPS])],
    "GRUCell": cells("GRU"),
    "LSTM": recurrent(units=3),
    "LSTMCell": cells("LSTM"),
    "SimpleRNN": recurrent(units=3),
    "SimpleRNNCell": cells("Simple"),
    "RNN": [({"cell": lambda: inner("GRUCell", units=3)}, [STEPS]), ("a row that is masked", {"cell": lambda: inner("LSTMCell", units=3), "zero_output_for_mask": True, "return_sequences": True}, [STEPS], {"mask": MASK})],
    "StackedRNNCells": [({"cells": lambda: [inner("GRUCell", units=3), inner("SimpleRNNCell", units=2)]}, [normal(2, 4), [normal(2, 3), normal(2, 2)]])],
    "GroupNormalization": [({"groups": 2}, [normal(2, 5, 4)]), ("offset of 1000", {"groups": 2}, [normal(2, 5, 4) + 1000]), ({"groups": -1}, [normal(2, 5, 4)])],
    "GroupQueryAttention": attend({"head_dim": 4, "num_query_heads": 4, "num_key_value_heads": 2}, key=False),
    "Hashing": [({"num_bins": 5, "dtype": "int32"}, [INTS]), ({"num_bins": 5, "salt": 3, "dtype": "int32"}, [INTS])],
    "HashedCrossing": [({"num_bins": 5}, [[LABELS[:, 0], LABELS[:, 1]]])],
    "IntegerLookup": [({"vocabulary": [3, 1], "dtype": "int64"}, [LABELS])],
    "Lambda": [({"function": lambda: lambda x: ops.sin(x)}, [X])],
    "LayerNormalization": [({}, [STEPS]), ({"axis": (1, 2)}, [STEPS]), ("offset of 1000", {}, [STEPS + 1000]), ("zeros", {}, [0 * STEPS])],
    "RMSNormalization": [({}, [STEPS]), ("zeros", {}, [0 * STEPS])],
    "UnitNormalization": [({}, [STEPS]), ("zeros", {}, [0 * STEPS])],
    "SpectralNormalization": [({"layer": lambda: inner("Dense", units=3)}, [X])],
    "Masking": [({}, [STEPS * MASK[..., None]])],
    "MaxNumBoundingBoxes": [],
    "MelSpectrogram": [({"fft_length": 16, "sequence_stride": 4, "num_mel_bins": 5}, [normal(2, 60)])],
    "STFTSpectrogram": [({"frame_length": 12, "frame_step": 4, "fft_length": 16, "mode": m}, [normal(2, 40, 2)]) for m in ("log", "psd", "real", "angle")],
    "MultiHeadAttention": attend({"num_heads": 2, "key_dim": 4}, key=False),
    "Normalization": [({"mean": 1.5, "variance": 2.0}, [X]), ({"mean": 1.5, "variance": 2.0, "invert": True}, [X])],
    "Permute": [({"dims": (2, 1)}, [STEPS])],
    "Pipeline": [({"layers": lambda: [inner("Rescaling", scale=0.5)]}, [X])],
    "Reshape": [({"target_shape": (2, -1)}, [X])],
    "Resizing": image({"height": 4, "width": 5}, {"height": 12, "width": 9, "interpolation": "bicubic"}, {"height": 4, "width": 4, "crop_to_aspect_ratio": True}),
    "Softmax": [({}, [X]), ("a row that is masked", {}, [X], {"mask": array([True] * 4, [True, False, True, True], [False] * 4)})],
    "ReLU": [({}, [X]), ({"max_value": 1.0, "negative_slope": 0.1, "threshold": 0.2}, [X]), ("ties and zeros", {}, [TIES])],
    "TimeDistributed": [({"layer": lambda: inner("Dense", units=4)}, [STEPS]), ("a row that is masked", {"layer": lambda: inner("Dense", units=4)}, [STEPS], {"mask": MASK})],
    "UpSampling2D": [({"size": (2, 3), "interpolation": i}, [normal(2, 3, 4, 2)]) for i in ("nearest", "bilinear", "bicubic")],
    "RandomCrop": image({"height": 4, "width": 3}),
    "RandomPosterization": image({"factor": 4}),
    "GlobalAveragePooling1D": [({}, [STEPS]), ("a row that is masked", {}, [STEPS], {"mask": MASK})],
    "Equalization": image({}),
    "AutoContrast": [*image({}), ("equal values", {}, [0 * PIXELS + 7])],
    "Solarization": image({"threshold_factor": 0.5}),
    **{n: merge() for n in ("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract")},
}
LAYERS_LEFT_OUT = {
    "FlaxLayer": "runs on JAX only",
    "InputLayer": "has no computation",
    "JaxLayer": "runs on JAX and TensorFlow only",
    "Layer": "abstract",
    "MaxNumBoundingBoxes": "takes bounding boxes",
    "StringLookup": "takes strings",
    "TextVectorization": "takes strings",
    "TFSMLayer": "runs on TensorFlow only",
    "TorchModuleWrapper": "runs on PyTorch only",
    "Wrapper": "abstract",
}



def unique(module: Any, kind: Any) -> dict[str, Any]:
    """The public objects of a module; one name for each."""
    found: dict[int, str] = {}
    for name in sorted(n for n in dir(module) if not n.startswith("_")):
        thing = getattr(module, name)
        own = getattr(thing, "__name__", "") == name
        if kind(thing) and (own or id(thing) not in found):
            found[id(thing)] = name
    return {name: getattr(module, name) for name in sorted(found.values())}


def is_layer(x: Any) -> bool:
    return isinstance(x, type) and issubclass(x, keras.layers.Layer)


def layer_calls(name: str, layer: Any) -> list[Call]:
    entries = LAYERS.get(name)
    if entries is None:
        required = [
            n
            for n, p in inspect.signature(layer).parameters.items()
            if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
        ]
        if any(n not in ARGUMENTS and n not in ("x_factor",) for n in required):
            return []
        options = {n: ARGUMENTS[n] for n in required}
        rank = next((d for d in SHAPES if d in name), None)
        if rank:
            x = normal(*SHAPES[rank])
            # A constant has ties, and its variance is 0.
            entries = [(options, [x]), ("ties and zeros", options, [np.round(x)])]
        elif "keras.src.layers.preprocessing" in layer.__module__:
            entries = image(options)
        else:
            entries = [(options, [X]), ("ties and zeros", options, [TIES])]
    calls = []
    for entry in entries:
        inputs, options, args, *kwargs = (
            entry if isinstance(entry[0], str) else ("normals", *entry)
        )
        made = functools.partial(make_layer, layer, options)
        first = inputs == "normals"
        kinds = f"{BOTH} training"
        dtypes = "float32 float64" if first else "float32"
        calls.append(
            Call(inputs, tuple(args), kwargs[0] if kwargs else {}, kinds, dtypes, made, True)
        )
    return calls


def make_layer(layer: Any, options: dict[str, Any]) -> Any:
    """Create a layer; options that are layers are created with it."""
    lazy = ("layer", "cell", "cells", "layers", "function")
    if "function" in options:  # a function has no config
        return functools.partial(layer, options["function"]())
    values = {
        n: v() if n in lazy and callable(v) else v for n, v in options.items()
    }
    return layer(**values)


TRUE, PREDICTED = np.round(IMAGE[0, 0]), IMAGE[0, 1]
SIGNS = 2 * TRUE - 1


def loss_inputs(name: str) -> list[Call]:
    """Calls of a loss, a class or a function, by its name."""
    lower = name.lower().replace("_", "")
    function = name == "categorical_generalized_cross_entropy"
    kwargs = {"q": 0.7} if function else {}
    if "ctc" in lower:
        pairs = [("normals", LABELS + 1, normal(2, 7, 5))]
    elif "sparsecategorical" in lower or "generalized" in lower:
        pairs = [("normals", array(0, 2, 3).astype("int32"), PROBABILITIES)]
    elif "circle" in lower:
        pairs = [("normals", array(0, 1, 0).astype("int32"), X / np.linalg.norm(X, axis=1, keepdims=True))]
    elif "categoricalhinge" not in lower and "categorical" in lower:
        pairs = [("normals", ONE_HOT, PROBABILITIES), ("zeros and ones", ONE_HOT, np.round(PROBABILITIES))]
    elif any(w in lower for w in ("binary", "kl", "dice", "tversky")):
        pairs = [("normals", TRUE, PREDICTED), ("zeros and ones", TRUE, np.round(PREDICTED))]
    elif "poisson" in lower or "logarithmic" in lower:
        pairs = [("normals", positive(3, 4), positive(3, 4, seed=1)), ("ties and zeros", abs(TIES), abs(OTHER_TIES))]
    elif "hinge" in lower:
        pairs = [("normals", SIGNS, normal(*SIGNS.shape)), ("ties and zeros", SIGNS, SIGNS)]
    else:
        pairs = [("normals", X, Y), ("ties and zeros", TIES, OTHER_TIES), ("zeros", 0 * X, 0 * X)]
    return [
        Call(inputs, (t, p), kwargs=kwargs, dtypes="float32 float64" if inputs == "normals" else "float32")
        for inputs, t, p in pairs
    ]


def first_in_both(calls: list[Call]) -> tuple[Call, ...]:
    """Compute only the first call in float64 too, which saves time."""
    return tuple(
        replace(c, dtypes="float32") if i else c for i, c in enumerate(calls)
    )


@dataclass(frozen=True)
class Row:
    """A function of Keras and its calls."""

    name: str
    function: Any
    calls: tuple[Call, ...]


def rows() -> list[Row]:
    found = []
    for name in op_names():
        function = find(ops, name)
        if name not in LEFT_OUT:
            calls = OPS.get(name) or automatic(function)
            found.append(Row(f"ops.{name}", function, first_in_both(calls)))
    for name, layer in unique(keras.layers, is_layer).items():
        if name not in LAYERS_LEFT_OUT:
            calls = layer_calls(name, layer)
            found.append(Row(f"layers.{name}", layer, first_in_both(calls)))
    out = ("deserialize", "serialize", "get", "Loss")
    for name in dir(keras.losses):
        loss = getattr(keras.losses, name)
        if not name.startswith("_") and name not in out:
            function = loss() if isinstance(loss, type) else loss
            calls = first_in_both(loss_inputs(name))
            found.append(Row(f"losses.{name}", function, calls))
    for name, activation in unique(keras.activations, inspect.isfunction).items():
        if name not in out:
            calls = automatic(activation)
            calls = [c for c in calls if c.inputs not in ("integers", "bools")]
            if name in ("threshold", "glu"):
                calls = OPS[name]
            if name == "softmax":
                calls += [named("large", 200 * X)]
            found.append(Row(f"activations.{name}", activation, first_in_both(calls)))
    return found
