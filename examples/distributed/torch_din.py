"""DIN on PyTorch with DistributedDataParallel, one process for each device.

On this machine, with 2 processes:

    KERAS_BACKEND=torch torchrun --standalone --nproc-per-node 2 \
        examples/distributed/torch_din.py

On several machines, run on each, with torchrun's options:

    torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d \
        --rdzv-endpoint HOST:29500 examples/distributed/torch_din.py
"""

import os

import torch
import torch.distributed as dist

# Before Keras selects a device.
GPU = torch.cuda.is_available()
if GPU:
    torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))

import keras
from clicks import arguments, make_clicks, make_model
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, StackDataset, TensorDataset
from torch.utils.data.distributed import DistributedSampler


def main() -> None:
    options = arguments()
    dist.init_process_group("nccl" if GPU else "gloo")
    model = make_model()
    net = DistributedDataParallel(model)
    variables = model.trainable_variables
    model.optimizer.build(variables)
    loss_fn = keras.losses.BinaryCrossentropy()

    x, clicks = make_clicks(options.samples)
    x = StackDataset(**{name: torch.as_tensor(ids) for name, ids in x.items()})
    data = StackDataset(x, TensorDataset(torch.as_tensor(clicks)))
    sampler = DistributedSampler(data, drop_last=True)
    size = options.batch // dist.get_world_size()
    loader = DataLoader(data, size, sampler=sampler, drop_last=True)
    device = variables[0].value.device

    for epoch in range(options.epochs):
        sampler.set_epoch(epoch)
        total = torch.zeros((), device=device)
        for inputs, (labels,) in loader:
            inputs = {name: ids.to(device) for name, ids in inputs.items()}
            loss = loss_fn(labels.to(device), net(inputs, training=True))
            loss = loss + sum(model.losses)
            model.zero_grad()
            loss.backward()  # averages the gradients of all processes
            with torch.no_grad():
                grads = [v.value.grad for v in variables]
                model.optimizer.apply(grads, variables)
            total += loss.detach()
        dist.all_reduce(total)
        if dist.get_rank() == 0:
            mean = total.item() / len(loader) / dist.get_world_size()
            print(f"epoch {epoch + 1}: loss {mean:.4f}", flush=True)
    if dist.get_rank() == 0:
        print(f"{dist.get_world_size()} processes")
    # Delete it before the group, otherwise the process may hang
    # (docs/upstream/torch_group_hangs.py).
    del net
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
