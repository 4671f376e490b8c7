"""Whose fault a difference is, or which convention: decided by a reference."""

from dataclasses import dataclass

FAULT, CONVENTION = "fault", "convention"


@dataclass(frozen=True)
class Decision:
    """A decision on the differences of some rows.

    Args:
        verdict: FAULT or CONVENTION.
        whose: whose fault it is.
        sentence: the call and its wrong result.
        rows: patterns of names.
        reference: what is right, and by which reference.
        scripts: scripts in docs/upstream.
        what, inputs, kind, dtypes, text: restrict it to some differences.
    """

    verdict: str
    whose: str
    sentence: str
    rows: tuple[str, ...]
    reference: str = ""
    scripts: tuple[str, ...] = ()
    what: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    kind: str = ""
    dtypes: tuple[str, ...] = ()
    text: str = ""


DECISIONS: list[Decision] = []


def fault(whose: str, rows: str, sentence: str, **rest: object) -> Decision:
    return _decision(FAULT, whose, rows, sentence, rest)


def convention(rows: str, sentence: str, **rest: object) -> Decision:
    return _decision(CONVENTION, "", rows, sentence, rest)


def _decision(
    verdict: str, whose: str, rows: str, sentence: str, rest: dict
) -> Decision:
    for name in ("scripts", "what", "inputs", "dtypes"):
        if isinstance(rest.get(name), str):
            rest[name] = tuple(rest[name].split(";"))
    return Decision(verdict, whose, sentence, tuple(rows.split()), **rest)


GRADIENT, SPEC = "gradients", "symbolic"
TORCH, TF, JAX = "Keras on PyTorch", "Keras on TensorFlow", "Keras on JAX"
TIES = "ties and zeros"

# The first one that applies counts.
DECISIONS += [
    # Faults of a function.
    fault(
        TF,
        "ops.adaptive_max_pool",
        "`adaptive_max_pool(x, 1)` of 7 steps ends the process with SIGFPE: the larger "
        "of two windows has 8 steps.",
        what="crash",
        scripts="tensorflow_adaptive_max_pool;adaptive_pool_numpy",
    ),
    fault(
        JAX,
        "ops.adaptive_*",
        "Pooling 7 steps into 7 is not the identity, and ends in NaN.",
        inputs="the size of the input",
        what="value;nan",
        scripts="jax_adaptive_pool",
    ),
    fault(
        "Keras",
        "ops.adaptive_*",
        "A symbolic call with an integer size raises TypeError; with a tuple it has a "
        "dimension too many.",
        what=SPEC,
        scripts="adaptive_pool_symbolic",
    ),
    fault(
        JAX,
        "ops.average_pool ops.max_pool",
        "`max_pool(x, 2)` raises TypeError: the default strides get two dimensions more.",
        what="error",
        scripts="jax_pool_strides",
    ),
    fault(
        TF,
        "ops.eye",
        "`eye(2, 4, k=1)` has shape (3, 5); in NumPy it has (2, 4).",
        what="shape",
        scripts="tensorflow_eye",
    ),
    fault(
        TORCH,
        "ops.cross",
        "Three vectors of three elements are multiplied along the first axis, not the "
        "last; NumPy decides.",
        inputs="integers",
        what="value",
        scripts="torch_cross_three",
    ),
    fault(
        TORCH,
        "ops.dot",
        "A matrix times a batch of matrices has the shape of `matmul`: (2, 3, 3) for "
        "NumPy's (3, 2, 3).",
        what="value;shape;symbolic",
        text=r"shape|at \(",
        scripts="torch_dot_batches",
    ),
    fault(
        TORCH,
        "ops.vdot",
        "Matrices raise an error; NumPy flattens them.",
        what="error",
        scripts="torch_vdot_matrices",
    ),
    fault(
        TF,
        "ops.pad",
        "`pad(x, 1)` of a matrix raises an error.",
        what="error",
        scripts="tensorflow_pad_integer",
    ),
    fault(
        TORCH,
        "ops.pad",
        "`pad(x, 1)` pads only the last axis.",
        what="shape;symbolic",
        text="shape",
        scripts="torch_pad_integer",
    ),
    fault(
        TORCH,
        "ops.pad",
        'In mode "symmetric", other elements are repeated (keras#23230); and `pad(x, 1)` '
        "pads only the last axis. NumPy decides.",
        what="value",
        scripts="torch_pad_symmetric;torch_pad_integer",
    ),
    fault(
        JAX,
        "ops.cholesky_inverse",
        "A batch of matrices raises ValueError.",
        what="error",
        scripts="jax_cholesky_inverse_batch",
    ),
    fault(
        TF,
        "ops.lu_factor",
        "A batch of matrices raises an error.",
        inputs="normals",
        what="error",
        scripts="tensorflow_lu_factor_batch",
    ),
    fault(
        TORCH,
        "ops.layer_normalization",
        "`axis=0` of a matrix raises an error.",
        what="error",
        scripts="torch_layer_normalization_axis",
    ),
    fault(
        TORCH,
        "ops.moments layers.BatchNormalization layers.GroupNormalization",
        "The variance is E[x²] - E[x]², which cancels for a large mean; float64 decides.",
        inputs="offset*",
        what="value",
        scripts="torch_moments;torch_group_normalization",
    ),
    fault(
        TORCH,
        "ops.segment_min",
        "An empty segment of integers gives the smallest one; the neutral element is the "
        "largest.",
        inputs="integers",
        scripts="torch_segment_min",
    ),
    fault(
        TORCH,
        "layers.GRU layers.LSTM layers.SimpleRNN layers.Bidirectional",
        "With `unroll=True`, `go_backwards=True` and a mask, AttributeError is raised.",
        what="error",
        text="has no attribute 'shape'",
        scripts="torch_unrolled_mask",
    ),
    fault(
        "PyTorch",
        "ops.dot_product_attention layers.MultiHeadAttention layers.GroupQueryAttention",
        "The gradients of a query whose keys are all masked are wrong; finite differences "
        "decide.",
        inputs="a row that is masked",
        kind=GRADIENT,
        scripts="torch_attention_masked_row",
    ),
    fault(
        TORCH,
        "ops.image.affine_transform",
        "The caller's `transform` is changed in place, and has no gradient.",
        what="own;error",
        text="changed|leaf",
        scripts="torch_affine_in_place",
    ),
    fault(
        "TensorFlow",
        "ops.image.affine_transform ops.image.perspective_transform",
        "The gradient for the image is that of the inverse transform, which is not the "
        "transpose, and there is none for the transform; differences decide.",
        kind=GRADIENT,
        what="value",
        scripts="tensorflow_affine_gradient",
    ),
    convention(
        "ops.image.affine_transform",
        'TensorFlow wraps with another period (scipy\'s "wrap" and "grid-wrap" also '
        'differ), and has no fill mode "mirror".',
        inputs="fill_mode=*",
        what="value;error",
    ),
    fault(
        TF,
        "ops.image.map_coordinates",
        '"reflect" is wrong before the first element, and "mirror" raises an error '
        "outside of the image; `scipy.ndimage.map_coordinates` decides.",
        what="value;error",
        scripts="tensorflow_map_coordinates;tensorflow_map_coordinates_mirror",
    ),
    fault(
        "Keras on PyTorch and JAX",
        "ops.image.gaussian_blur",
        "Without `data_format`, channels are blurred into each other (keras#23542).",
        scripts="gaussian_blur_channels",
    ),
    fault(
        TORCH,
        "ops.stft",
        "Without a window, the frames contain other samples; `numpy.fft.rfft` decides.",
        what="value",
        scripts="torch_stft_no_window",
    ),
    fault(
        "Keras on TensorFlow and PyTorch",
        "ops.istft",
        "`istft(stft(x))` is not x at the ends (off by 0.007); on JAX it is, to 2e-7.",
        what="value",
        scripts="istft_round_trip",
    ),
    fault(
        TF,
        "ops.celu activations.celu",
        "The gradient at 0 is 2; finite differences: 1 on both sides.",
        inputs=TIES,
        kind=GRADIENT,
        scripts="tensorflow_celu_gradient",
    ),
    fault(
        "PyTorch",
        "ops.ldexp",
        "The gradient is 0 for a negative exponent; finite differences: 2**exponent.",
        kind=GRADIENT,
        scripts="torch_ldexp_gradient",
    ),
    fault(
        "TensorFlow",
        "ops.cumprod ops.nancumprod",
        "The gradient is 0 at an element that is 0; finite differences: the product of "
        "the others.",
        inputs=TIES,
        kind=GRADIENT,
        scripts="tensorflow_cumprod_gradient",
    ),
    fault(
        "Keras on TensorFlow and PyTorch",
        "ops.nancumprod ops.nancumsum",
        "Infinity becomes 3.4e38 (keras#23127, keras#23130); NumPy decides.",
        what="nan",
        scripts="nancumsum_infinity",
    ),
    fault(
        "Keras on TensorFlow and JAX",
        "ops.hard_shrink ops.soft_shrink ops.threshold activations.hard_shrink "
        "activations.soft_shrink activations.threshold",
        "NaN becomes a number; on PyTorch it stays NaN.",
        what="nan",
        scripts="tensorflow_nan_lost;jax_nan_lost",
    ),
    fault(
        "Keras on TensorFlow and PyTorch",
        "ops.heaviside",
        "NaN becomes a number; in NumPy it stays NaN.",
        what="nan",
        scripts="tensorflow_nan_lost;torch_sign_nan",
    ),
    fault(
        TF,
        "ops.angle",
        "NaN becomes 0; in NumPy it stays NaN.",
        inputs="NaN and infinity",
        scripts="tensorflow_nan_lost",
    ),
    fault(
        "PyTorch",
        "ops.sign",
        "NaN becomes 0; in NumPy it stays NaN.",
        what="nan",
        scripts="torch_sign_nan",
    ),
    fault(
        "TensorFlow",
        "ops.softmax activations.softmax",
        "Next to NaN, the other elements are 0, although each is divided by a sum that is NaN.",
        what="nan",
        scripts="tensorflow_softmax_nan",
    ),
    fault(
        "TensorFlow",
        "ops.argmax ops.argmin",
        "NaN is ignored; NumPy returns its position, and `ops.max` returns NaN.",
        inputs="NaN and infinity",
        scripts="tensorflow_argmax_nan",
    ),
    fault(
        "TensorFlow",
        "ops.sort ops.argsort ops.unique ops.searchsorted",
        "NaN is sorted before -infinity; NumPy always sorts it last.",
        inputs="NaN and infinity",
        scripts="tensorflow_sort_nan",
    ),
    fault(
        "TensorFlow",
        "ops.top_k",
        "NaN is dropped from the largest elements; `ops.max` returns it.",
        inputs="NaN and infinity",
        what="nan;value",
        scripts="tensorflow_top_k_nan",
    ),
    fault(
        TORCH,
        "ops.top_k",
        "The indices are int64; a symbolic call promises int32.",
        what="dtype;symbolic",
        text="int64",
        scripts="torch_top_k_int64",
    ),
    fault(
        TF,
        "ops.isclose",
        "Infinity is not close to infinity (keras#23128); in NumPy it is.",
        inputs="NaN and infinity",
        scripts="isclose_infinity",
    ),
    fault(
        TF,
        "ops.hypot",
        "`hypot(inf, inf)` is NaN (keras#23131); in NumPy it is infinity.",
        inputs="NaN and infinity",
        scripts="tensorflow_hypot_infinity",
    ),
    fault(
        TORCH,
        "ops.nonzero",
        "One tensor is returned; NumPy, and a symbolic call: a tuple with a tensor for "
        "each axis.",
        scripts="torch_nonzero_tensor",
    ),
    fault(
        "Keras",
        "ops.corrcoef",
        "A symbolic call has the shape of the input; a call, and NumPy: (rows, rows).",
        what=SPEC,
        text="shape",
        scripts="corrcoef_symbolic",
    ),
    fault(
        TF,
        "ops.leaky_relu ops.gelu ops.hard_sigmoid activations.leaky_relu "
        "activations.gelu activations.hard_sigmoid layers.LeakyReLU",
        "A constant of a float64 function is rounded to 32 bits (on PyTorch that of "
        "`hard_sigmoid`, by PyTorch).",
        dtypes="float64",
        what="value",
        scripts="tensorflow_leaky_relu_float64",
    ),
    fault(
        "TensorFlow",
        "ops.image.hsv_to_rgb",
        "There is no gradient; PyTorch and JAX agree on one.",
        kind=GRADIENT,
        scripts="tensorflow_hsv_gradient",
    ),
    fault(
        "Keras",
        "ops.polar ops.eig ops.slogdet ops.lu_factor ops.repeat",
        "A symbolic call has another dtype or shape than a call (a real one for complex "
        "numbers), or fails for a tensor of repeats.",
        what=SPEC,
        scripts="complex_symbolic;slogdet_symbolic",
    ),
    fault(
        "PyTorch",
        "activations.gelu",
        "`gelu(inf)` is NaN; x times 1 is infinity.",
        what="nan",
        scripts="torch_gelu_infinity",
    ),
    fault(
        "PyTorch",
        "ops.det",
        "The gradient at a singular matrix is 0; it is the matrix of cofactors.",
        kind=GRADIENT,
        inputs="singular",
        what="value",
        scripts="torch_det_gradient",
    ),
    fault(
        TF,
        "ops.logaddexp ops.logaddexp2",
        "The gradient at equal numbers is (1, 0); the function is smooth: (1/2, 1/2) "
        "(tensorflow#127232, keras#23616).",
        inputs=TIES,
        kind=GRADIENT,
        scripts="tensorflow_logaddexp_gradient",
    ),
    fault(
        TF,
        "ops.sinc",
        "The gradient at 0 is NaN; sinc is even and smooth: 0 (tensorflow#127226).",
        inputs=TIES,
        kind=GRADIENT,
        scripts="tensorflow_sinc_gradient",
    ),
    # Float64.
    fault(
        "Keras",
        "*",
        "float64 is computed, or promised by a symbolic call, in 32 bits: the types of a "
        "tensor and of a Python number are promoted to float32.",
        dtypes="float64",
        what="symbolic;dtype",
        text=r"float32.*float64|float64.*float32",
        scripts="float64_symbolic;torch_matmul_float64;torch_mean_float64;"
        "torch_maximum_float64;jax_mean_float64",
    ),
    fault(
        "Keras",
        "ops.cond ops.fori_loop ops.while_loop layers.SimpleRNN",
        "On JAX a loop or branch of float64 raises TypeError, since `sin` or `tanh` of "
        "float64 is float32.",
        dtypes="float64",
        what="error",
        scripts="jax_tanh_float64",
    ),
    convention(
        "ops.geomspace ops.logspace ops.linspace ops.kaiser ops.blackman ops.bartlett "
        "ops.hamming ops.hanning ops.image.resize layers.Resizing ops.quantile",
        "Under floatx float64, some backends compute these in 32 bits.",
        dtypes="float64",
        what="value;dtype",
    ),
    convention(
        "*",
        "Sizes, indices and default integers are int64 on JAX, or on TensorFlow, in 64-bit "
        "mode, and int32 elsewhere.",
        what="dtype;symbolic",
        text="int64",
    ),
    # What a backend does not support.
    convention(
        "layers.*3D layers.MelSpectrogram",
        "TensorFlow has no kernel of float64 on a CPU.",
        dtypes="float64",
        what="error",
    ),
    convention(
        "*",
        "Functions of floats or integers accept integers or bools on some backends only, and return "
        "integers or floats then; a symbolic call promises integers.",
        inputs="integers;bools",
        what="error;dtype;symbolic",
    ),
    convention(
        "*",
        "A gradient is not implemented by the backend, which raises an error.",
        kind=GRADIENT,
        what="error",
    ),
    convention(
        "ops.image.resize ops.image.extract_patches ops.vectorize",
        "An option that the backend rejects with a clear error.",
        what="error",
    ),
    convention(
        "ops.*",
        "A reduction over no elements, or an id outside of the range, is an error on some "
        "backends.",
        inputs="no rows;ids outside;singular;a constant row",
        what="error",
    ),
    convention(
        "layers.Lambda",
        "A `Lambda` layer is created from its config only on request.",
        what="own",
    ),
    # Conventions.
    convention(
        "ops.abs ops.absolute ops.fabs ops.leaky_relu ops.selu ops.maximum ops.minimum "
        "ops.fmax ops.fmin ops.std ops.norm ops.hypot "
        "ops.cbrt ops.max* ops.arctan2 ops.power ops.fmod ops.angle "
        "ops.normalize ops.nextafter ops.image.rgb_to_hsv ops.top_k ops.heaviside "
        "layers.*Max* layers.Minimum layers.LeakyReLU layers.UnitNormalization layers.Dot "
        "losses.*bsolute* losses.*osine* activations.leaky_relu activations.selu",
        "The subgradient at a tie, at a kink, or at 0 of a norm or power: any value "
        "between the one-sided derivatives, or NaN where there is none (for norms: "
        "keras#23075).",
        inputs="ties*;zeros*;equal*;grey;edges",
        kind=GRADIENT,
        what="value;nan",
    ),
    convention(
        "losses.*kl* losses.KL*",
        "The derivative of a clipped probability at the end of the range.",
        kind=GRADIENT,
    ),
    convention(
        "losses.poisson losses.Poisson ops.image.resize",
        "Rounding: a difference of nearly equal numbers.",
        kind=GRADIENT,
        what="value",
        text="e-0|0.0014",
    ),
    convention(
        "ops.arccosh",
        "The gradient outside of the domain, where the function is NaN.",
        kind=GRADIENT,
    ),
    convention(
        "ops.eig* ops.svd ops.qr",
        "Signs, order and phases of eigenvectors, and gradients that depend on them or on "
        "the triangle that is read.",
        what="value;nan",
    ),
    convention(
        "ops.cholesky_inverse",
        "The gradient for the triangle that is not read.",
        kind=GRADIENT,
    ),
    convention(
        "ops.* layers.*",
        "Lists, tuples and named tuples.",
        what="structure",
    ),
    convention(
        "ops.top_k ops.argpartition ops.argsort",
        "The order of equal elements, or within a partition.",
        what="value",
    ),
    convention(
        "ops.cast ops.saturate_cast ops.view",
        "NaN, infinity and negative numbers as integers.",
        what="value",
    ),
    convention(
        "ops.segment_max ops.segment_min",
        "An empty segment is infinity or the largest finite number.",
        what="nan",
    ),
    convention(
        "ops.clip",
        "Bounds in the wrong order are undefined.",
        inputs="bounds*",
    ),
    convention(
        "ops.image.resize layers.Resizing layers.UpSampling2D",
        "Bicubic interpolation with a = -0.75 (PyTorch) or -0.5.",
        what="value",
        dtypes="float32",
    ),
    convention(
        "ops.image.sobel_edges",
        "Keras does not say how the border is padded: reflected on TensorFlow, zeros "
        "elsewhere.",
        what="value",
    ),
    convention(
        "ops.max_pool",
        "TensorFlow ignores NaN (tensorflow#2501).",
        what="nan",
    ),
    convention(
        "ops.quantile ops.percentile ops.nanquantile ops.nanpercentile",
        "Which elements next to NaN get a gradient.",
        kind=GRADIENT,
    ),
    convention(
        "ops.ctc_loss",
        "The loss of a target that does not fit is infinite, or large.",
        inputs="too short",
    ),
    convention(
        "ops.logaddexp2",
        "0 or a rounding error for a result of 0.",
        inputs="integers",
        what="value",
    ),
    convention(
        "ops.ctc_decode",
        "The gradient of a decision.",
        kind=GRADIENT,
    ),
    convention(
        "ops.slogdet",
        "The gradient at a singular matrix, where the function is infinite.",
        inputs="singular",
        kind=GRADIENT,
    ),
    convention(
        "ops.rfft ops.sparsemax activations.sparsemax",
        "Infinity minus infinity, or times 0, in the algorithm.",
        what="nan",
    ),
    convention(
        "ops.sparse_categorical_crossentropy",
        "Probabilities that are all 0.",
        inputs="zeros and ones",
    ),
    convention(
        "ops.bincount",
        "Weights cannot be symbolic.",
        what=SPEC,
    ),
]
