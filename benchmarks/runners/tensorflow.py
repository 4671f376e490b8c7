import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)


def prepare(make, work, compiled=False):
    """compiled: under XLA; otherwise a plain graph."""
    call, variables = make(work, work.weights())
    inputs = [tf.constant(x) for x in work.inputs()]
    upstream = tf.constant(work.upstream())

    @tf.function(jit_compile=compiled)
    def run(*inputs):
        return call(list(inputs), variables, False)

    @tf.function(jit_compile=compiled)
    def gradients(upstream, *inputs):
        floats = [x for x in inputs if x.dtype.is_floating]
        with tf.GradientTape() as tape:
            tape.watch(floats)
            loss = tf.reduce_sum(call(list(inputs), variables, True) * upstream)
        found = tape.gradient(loss, [*floats, *variables])
        return loss, [tf.convert_to_tensor(x) for x in found]

    # On a CPU calls return when all is computed; numpy() would wait, but copy.
    return lambda: run(*inputs), lambda: gradients(upstream, *inputs)
