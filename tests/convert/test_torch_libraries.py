"""Checkpoints of DeepCTR-Torch and FuxiCTR predict what they predicted there.

With `-s` the differences are printed.
"""

import importlib
import json
from pathlib import Path

import keras
import numpy as np
import pytest

from kseq import feature_column, models
from kseq.convert.__main__ import main
from kseq.convert.torch_files import read_state_dict
from tests.convert.recorded import numbers, predict
from tests.golden.load import TORCH_MODELS, make_columns
from tests.support import once, to_numpy

NAMES = sorted(path.stem for path in TORCH_MODELS.glob("*.npz"))
LIMIT = 1e-5


class Record:
    def __init__(self, name):
        with np.load(TORCH_MODELS / f"{name}.npz") as file:
            arrays = dict(file)
        self.configuration = json.loads(str(arrays["configuration"]))
        self.checkpoint = arrays["checkpoint"].tobytes()
        self.predictions = arrays["predictions"]
        self.auxiliary_loss = arrays["auxiliary_loss"]
        self.inputs = {
            name.removeprefix("input/"): array
            for name, array in arrays.items()
            if name.startswith("input/")
        }
        library = self.configuration["library"]
        module = importlib.import_module(f"kseq.convert.{library}")
        self.load = module.load_state_dict

    def make(self, columns=None, **options):
        columns = columns or self.configuration["columns"]
        make = getattr(models, self.configuration["model"])
        arguments = self.configuration["arguments"] | options
        return make(make_columns(feature_column, columns), **arguments)

    def state(self, path):
        path.write_bytes(self.checkpoint)
        return read_state_dict(path)


SOME = ("deepctr_torch_din", "deepctr_torch_dien_augru", "fuxictr_dien_augru")


@pytest.mark.parametrize("name", [n if n in SOME else once(n) for n in NAMES])
def test_predictions(name, tmp_path):
    record, path = Record(name), Path(tmp_path, "din.pth")
    path.write_bytes(record.checkpoint)
    model = record.make()
    placements = record.load(model, path)
    assert sorted(p.weight for p in placements) == sorted(numbers(model))
    difference = np.abs(predict(model, record.inputs) - record.predictions)
    print(f"{name}: {difference.max():.1e}")
    assert difference.max() <= LIMIT


def test_the_auxiliary_loss_is_twice_deepctr_torch_s(tmp_path):
    """It averages over both kinds of pairs, DeepCTR over steps."""
    record = Record("deepctr_torch_dien_augru")
    model = record.make()
    record.load(model, record.state(tmp_path / "x"))
    model(record.inputs)
    (loss,) = map(to_numpy, model.get_layer("auxiliary_loss").losses)
    np.testing.assert_allclose(loss, 2 * record.auxiliary_loss, rtol=1e-6)


def moved(columns, name, to):
    """The columns with one of them at another place."""
    names = [c.get("name") for c in columns]
    columns = [*columns]
    columns.insert(to, columns.pop(names.index(name)))
    return columns


@pytest.mark.once
def test_fuxictr_s_features_may_be_in_another_order(tmp_path):
    record = Record("fuxictr_din")
    columns = moved(record.configuration["columns"], "user", 3)
    model = record.make(columns)
    record.load(model, record.state(tmp_path / "x"))
    got = predict(model, record.inputs)
    np.testing.assert_allclose(got, record.predictions, atol=LIMIT)


@pytest.mark.once
@pytest.mark.parametrize("count", [1, None, 5])
@pytest.mark.parametrize("name", ["deepctr_torch_din", "fuxictr_din"])
def test_another_order_that_weights_cannot_tell_is_rejected(
    name, count, tmp_path
):
    record = Record(name)
    columns = record.configuration["columns"]
    options = {"num_candidates": count, "candidate_feature_list": ["price"]}
    state = record.state(tmp_path / "x")
    record.load(record.make(columns, **options), state)
    model = record.make(columns[::-1], **options)
    with pytest.raises(ValueError, match=r"model: expected .* in the order"):
        record.load(model, state)


def without(*names):
    return lambda state: {n: x for n, x in state.items() if n not in names}


def change(name, function):
    return lambda state: {**state, name: function(state[name])}


KERNEL = "attention.local_att.dnn.linears.1.weight"
TABLE = "embedding_layer.embedding_layer.embedding_layers.hist_item.weight"
GAMMA = "attention.local_att.dnn.activation_layers.0.bn.weight"


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "edit", "match"),
    [
        (
            "deepctr_torch_din",
            without(KERNEL),
            r"dnn/kernel1 \(6, 5\)   given: -   <--",
        ),
        (
            "deepctr_torch_din",
            change(KERNEL, np.transpose),
            r"kernel1 \(6, 5\)   given: \S+",
        ),
        ("deepctr_torch_din", change(GAMMA, lambda x: -x), f"positive {GAMMA}"),
        (
            "deepctr_torch_din",
            lambda state: {**state, "more": np.ones(2)},
            r"  -   given: more \(2,\)   <--",
        ),
        # The features share a table here.
        (
            "fuxictr_din",
            lambda state: {**state, TABLE: np.ones((12, 3))},
            r"  -   given: \S+item.weight \(12, 3\)   <--",
        ),
        (
            "deepctr_torch_dien_gru",
            without("interest_evolution.interest_evolution.bias_hh_l0"),
            r"gru2/candidate_state_bias \(6,\)   given: -",
        ),
    ],
)
def test_everything_is_placed_or_nothing(name, edit, match, tmp_path):
    record = Record(name)
    model = record.make()
    before = numbers(model)
    with pytest.raises(ValueError, match=match):
        record.load(model, edit(record.state(tmp_path / "x")))
    for path, array in numbers(model).items():
        np.testing.assert_array_equal(array, before[path])


@pytest.mark.once
def test_fuxictr_s_other_attention_is_rejected(tmp_path):
    record = Record("fuxictr_dien_augru")
    state = {
        name: array
        for name, array in record.state(tmp_path / "x").items()
        if "attn_mlp" not in name
    }
    state["attention_modules.0.W_kernel"] = np.eye(6)
    match = r"unit/kernel \(5, 1\)   given: -(.|\n)*-   given: \S+W_kernel"
    with pytest.raises(ValueError, match=match):
        record.load(record.make(), state)


@pytest.mark.once
@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda r: r.make(reset_after=False), r"DIEN\(reset_after=True\)"),
        (lambda r: r.make(augru_form="deepctr"), r"augru_form='paper'"),
        (lambda r: keras.Sequential(), "kseq.models.DIN or DIEN"),
    ],
)
def test_models_that_compute_something_else_are_rejected(make, match, tmp_path):
    record = Record("fuxictr_dien_augru")
    with pytest.raises(ValueError, match=f"model: expected .*{match}"):
        record.load(make(record), record.state(tmp_path / "x"))


SCRIPT = f"""
from {__name__} import Record


def build():
    return Record("fuxictr_din").make()
"""


@pytest.mark.once
def test_the_command_converts_a_state_dict(tmp_path, capsys):
    record, script = Record("fuxictr_din"), tmp_path / "build.py"
    checkpoint, out = tmp_path / "DIN.model", tmp_path / "din.keras"
    record.state(checkpoint)
    script.write_text(SCRIPT)
    arguments = [str(checkpoint), "--model-script", f"{script}:build"]
    arguments += ["--library", "fuxictr", "--out", str(out)]
    assert main([*arguments, "--layer", "a=b"]) == 2
    assert main(arguments) == 0
    assert "dnn.mlp.0.weight" in capsys.readouterr().out
    got = predict(keras.saving.load_model(out), record.inputs)
    np.testing.assert_allclose(got, record.predictions, atol=LIMIT)
