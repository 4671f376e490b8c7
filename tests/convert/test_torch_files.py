"""Files of PyTorch are read without it, and no code of theirs runs."""

import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from kseq.convert.torch_files import read_state_dict

pytestmark = pytest.mark.once
torch = pytest.importorskip("torch")
X = torch.arange(24.0).reshape(4, 6)
STATE = OrderedDict(
    view=X.T[1:3],
    strided=X[1:, ::2],
    scalar=torch.tensor(3),
    bools=torch.tensor([True, False]),
    bfloat16=torch.tensor([1.5, -3.25]).bfloat16(),
    float16=torch.tensor([1.5, -3.25]).half(),
    float64=X.double() / 3,
    int8=torch.tensor([-1, 2], dtype=torch.int8),
    parameter=torch.nn.Parameter(X / 7),
    empty=torch.zeros(0, 3),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "din.h5"  # as DeepCTR-Torch's examples name it


def test_every_kind_of_tensor(path):
    torch.save(STATE, path)
    found = read_state_dict(path)
    assert [*found] == [*STATE]
    for name, tensor in STATE.items():
        tensor = tensor.detach()
        if tensor.dtype == torch.bfloat16:
            tensor = tensor.float()
        array = tensor.numpy()
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array, strict=True)


class Attack:
    """Unpickling it would create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_no_code_runs(path, tmp_path):
    torch.save({"x": Attack(tmp_path / "created")}, path)
    with pytest.raises(ValueError, match=r"it contains _?io.open"):
        read_state_dict(path)
    assert not (tmp_path / "created").exists()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (torch.nn.Linear(2, 2), r"Linear.* save model.state_dict\(\)"),
        ({"state_dict": {"x": X}}, "with 'state_dict', a dict"),
        ([X], "a list"),
        ({"x": torch.zeros(1).expand(9)}, "larger than its storage"),
    ],
)
def test_other_contents_are_rejected(content, match, path):
    torch.save(content, path)
    with pytest.raises(ValueError, match=f"^filepath: expected .*{match}"):
        read_state_dict(path)


class Tensor:
    """A tensor of given offset, sizes and strides, valid or not."""

    def __init__(self, *layout):
        self.layout = layout

    def __reduce__(self):
        storage = X._typed_storage()
        rest = (False, OrderedDict())
        return torch._utils._rebuild_tensor_v2, (storage, *self.layout, *rest)


@pytest.mark.parametrize(
    "layout",
    [
        (0, (-1,), (-1,)),
        (0, (5,), (2**60,)),
        (0, (2, 2), (2**60, 2**60)),
        (-1, (2,), (1,)),
        (23, (2,), (1,)),
        (0, (2,), ()),
    ],
)
def test_tensors_beyond_their_storage_are_rejected(layout, path):
    """NumPy would read other memory, or crash."""
    torch.save({"x": Tensor(*layout)}, path)
    with pytest.raises(ValueError, match=r"larger than its|no valid sizes"):
        read_state_dict(path)


def test_tensors_of_one_storage_share_memory(path):
    torch.save({"x": X, "y": X.T}, path)
    found = read_state_dict(path)
    assert np.shares_memory(found["x"], found["y"])


def test_damaged_files_are_rejected_or_read(path):
    torch.save(STATE, path)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    errors = 0
    for start in rng.integers(0, len(whole) - 32, 60):
        path.write_bytes(whole[:start] + rng.bytes(32) + whole[start + 32 :])
        try:
            read_state_dict(path)
        except ValueError as error:
            errors += str(error).startswith("filepath: expected ")
    assert errors > 9


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("data.pkl", None, "is compressed"),
        ("byteorder", b"big" * 99, "is compressed"),
        ("byteorder", b"middle", "byteorder 'middle'"),
    ],
)
def test_members_that_pytorch_does_not_write(name, content, match, path):
    file = path.with_suffix(".pth")
    torch.save(STATE, file)
    with zipfile.ZipFile(file) as stored, zipfile.ZipFile(path, "w") as other:
        for member in stored.namelist():
            data = stored.read(member)
            changed = member.endswith(f"/{name}")
            if changed and content:
                data = content
            compress = changed and "compressed" in match
            other.writestr(member, data, zipfile.ZIP_DEFLATED * compress)
    with pytest.raises(ValueError, match=match):
        read_state_dict(path)
