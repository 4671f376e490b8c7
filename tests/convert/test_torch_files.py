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


def test_compressed_files_are_rejected(path, tmp_path):
    torch.save(STATE, tmp_path / "x")
    with (
        zipfile.ZipFile(tmp_path / "x") as stored,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as compressed,
    ):
        for name in stored.namelist():
            compressed.writestr(name, stored.read(name))
    with pytest.raises(ValueError, match="is compressed"):
        read_state_dict(path)
