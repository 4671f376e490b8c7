import jax
import jax.numpy as jnp


def prepare(make, workload, compiled=True):
    call, variables = make(workload, workload.weights())
    inputs = [jnp.asarray(x) for x in workload.inputs()]
    indices = [
        i for i, x in enumerate(inputs) if jnp.issubdtype(x, jnp.floating)
    ]
    floats = [inputs[i] for i in indices]
    upstream = jnp.asarray(workload.upstream())

    def loss(floats, variables, inputs, upstream):
        inputs = list(inputs)
        for i, x in zip(indices, floats, strict=True):
            inputs[i] = x
        return (call(inputs, variables, True) * upstream).sum()

    run = jax.jit(lambda *args: call(*args, False))
    value_and_grad = jax.jit(jax.value_and_grad(loss, (0, 1)))

    def forward():
        return jax.block_until_ready(run(inputs, variables))

    def train():
        value, gradients = jax.block_until_ready(
            value_and_grad(floats, variables, inputs, upstream)
        )
        return value, [*gradients[0], *gradients[1]]

    return forward, train
