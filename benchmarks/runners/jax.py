import jax
import jax.numpy as jnp


def prepare(make, work, compiled=True):
    call, variables = make(work, work.weights())
    inputs = [jnp.asarray(x) for x in work.inputs()]
    at = [i for i, x in enumerate(inputs) if jnp.issubdtype(x, jnp.floating)]
    floats = [inputs[i] for i in at]
    upstream = jnp.asarray(work.upstream())

    def loss(floats, variables, inputs, upstream):
        inputs = list(inputs)
        for i, x in zip(at, floats, strict=True):
            inputs[i] = x
        return (call(inputs, variables, True) * upstream).sum()

    run = jax.jit(lambda *given: call(*given, False))
    gradients = jax.jit(jax.value_and_grad(loss, (0, 1)))

    def forward():
        return jax.block_until_ready(run(inputs, variables))

    def train():
        found = gradients(floats, variables, inputs, upstream)
        value, (of_inputs, of_variables) = jax.block_until_ready(found)
        return value, [*of_inputs, *of_variables]

    return forward, train
