"""How each framework runs a contender's workload.

A runner's `prepare(make, workload, compiled)` calls `make`, a function of a
contender, and returns two functions without arguments, `forward` and `train`.
Both wait for the result. `forward` returns the output; `train` returns the
loss, which is the sum of the output times `workload.upstream()`, and its
gradients with respect to the float inputs and the variables. The loss is
returned so that no compiler removes what the gradients do not need.
"""
