import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)


def prepare(make, workload, compiled=False):
    """`compiled` runs the graphs under XLA."""
    call, variables = make(workload, workload.weights())
    inputs = [tf.constant(x) for x in workload.inputs()]
    upstream = tf.constant(workload.upstream())

    @tf.function(jit_compile=compiled)
    def forward(*inputs):
        return call(list(inputs), variables, False)

    @tf.function(jit_compile=compiled)
    def train(upstream, *inputs):
        floats = [x for x in inputs if x.dtype.is_floating]
        with tf.GradientTape() as tape:
            tape.watch(floats)
            loss = tf.reduce_sum(call(list(inputs), variables, True) * upstream)
        gradients = tape.gradient(loss, [*floats, *variables])
        return loss, [tf.convert_to_tensor(x) for x in gradients]

    # On a CPU a call returns when its result is computed.
    return lambda: forward(*inputs), lambda: train(upstream, *inputs)
