import torch

torch.set_num_threads(1)


def prepare(make, workload, compiled=False):
    call, variables = make(workload, workload.weights())
    inputs = [torch.from_numpy(x) for x in workload.inputs()]
    floats = [x.requires_grad_() for x in inputs if x.is_floating_point()]
    upstream = torch.from_numpy(workload.upstream())

    def forward():
        with torch.no_grad():
            return call(inputs, variables, False)

    def train():
        loss = (call(inputs, variables, True) * upstream).sum()
        return loss, torch.autograd.grad(loss, [*floats, *variables])

    return forward, train
