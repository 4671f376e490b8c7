import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)


def prepare(make, work, compiled=False):
    """compiled: under XLA; otherwise a plain graph."""
    call, variables = make(work, work.weights())
    inputs = [tf.constant(x) for x in work.inputs()]
    floats = [x for x in inputs if x.dtype.is_floating]
    upstream = tf.constant(work.upstream(_shape(call, inputs, variables)))

    @tf.function(jit_compile=compiled)
    def run(*inputs):
        return call(list(inputs), variables)

    @tf.function(jit_compile=compiled)
    def gradients(*inputs):
        floats = [x for x in inputs if x.dtype.is_floating]
        with tf.GradientTape() as tape:
            tape.watch(floats)
            loss = tf.reduce_sum(call(list(inputs), variables) * upstream)
        found = tape.gradient(loss, [*floats, *variables])
        return [tf.convert_to_tensor(x) for x in found]

    def forward():
        output = run(*inputs)
        output.numpy()
        return output

    def train():
        found = gradients(*inputs)
        found[0].numpy()
        return found

    return forward, train


def _shape(call, inputs, variables):
    traced = tf.function(lambda *x: call(list(x), variables))
    return tuple(traced.get_concrete_function(*inputs).output_shapes)
