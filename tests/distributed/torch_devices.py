"""PyTorch: `DistributedDataParallel` over two processes, by torchrun."""

import keras
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from tests.distributed import problem
from tests.distributed.problem import BATCH, PLAIN, STATISTICS


def train(model, net, rank, size):
    """Train on this rank's part of each batch and return the losses."""
    x, clicks = problem.inputs_of(model)
    loss_of = keras.losses.BinaryCrossentropy()
    optimizer = keras.optimizers.SGD(2**-7, momentum=0.875)
    optimizer.build(model.trainable_variables)
    weights = [v.value for v in model.trainable_variables]
    losses = torch.zeros(problem.TRAINING_STEPS, dtype=torch.float64)
    for step in range(problem.TRAINING_STEPS):
        first = step * BATCH % problem.ROWS + rank * size
        part = slice(first, first + size)
        inputs = {name: torch.as_tensor(v[part]) for name, v in x.items()}
        targets = torch.as_tensor(clicks[part])
        loss = loss_of(targets, net(inputs, training=True))
        loss = loss + sum(model.losses)
        model.zero_grad()
        loss.backward()
        gradients = [w.grad for w in weights]
        with torch.no_grad():
            optimizer.apply(gradients, model.trainable_variables)
        losses[step] = loss.detach()
    return losses


def on_both(key, options):
    model = problem.make(options)
    net = DistributedDataParallel(model)
    losses = train(model, net, dist.get_rank(), BATCH // 2)
    dist.all_reduce(losses)
    both = [None, None]
    dist.all_gather_object(both, problem.weights_of(model))
    return {
        f"{key}first": both[0],
        f"{key}second": both[1],
        f"{key}several": {"losses": losses.numpy() / 2, **both[0]},
    }


def run_all():
    dist.init_process_group("gloo")
    assert dist.get_world_size() == 2
    rank = dist.get_rank()
    found = on_both("", PLAIN) | on_both("statistics ", STATISTICS)
    dist.destroy_process_group()
    if rank == 0:
        model = problem.make(PLAIN)
        losses = train(model, model, 0, BATCH).numpy()
        found["one"] = {"losses": losses, **problem.weights_of(model)}
        return found
    return None


if __name__ == "__main__":
    problem.main(run_all)
