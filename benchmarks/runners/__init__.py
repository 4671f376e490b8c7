"""How a framework runs what a contender offers.

A contender is a module of `benchmarks.contenders` with

- `FRAMEWORK`: "tensorflow", "torch" or "jax", the runner's name;
- a function for each kind of work that it can do, `kind(work, weights)`, which
  takes the work and its weights as NumPy arrays and returns `call, variables`:
  `call(inputs, variables, training)` gives the output; `variables` is a list of
  the framework's tensors, of which gradients are taken where `training`.

A runner offers `prepare(make, work, compiled)`, which returns two functions
without arguments, `forward` and `train`. Both wait for what they compute, and
return it: the output; and the loss, which is the sum of the output times
`work.upstream()`, with its gradients of the float inputs and the variables. The
loss is there so that no compiler leaves out what gradients do not need.
"""
