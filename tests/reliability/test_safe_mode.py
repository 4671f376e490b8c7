"""Loading a file or a config runs no code from it (Keras's safe mode).

Each attack would create a file, `canary`.
"""

import base64
import marshal
import pickle
import sys

import keras
import numpy as np
import pytest

from kseq.layers.core import DNN
from kseq.layers.sequence import AttentionSequencePoolingLayer

pytestmark = pytest.mark.once


@pytest.fixture
def canary(tmp_path, monkeypatch):
    """A path that also importing `canary_module` would create."""
    path = tmp_path / "canary"
    (tmp_path / "canary_module.py").write_text(f"open({str(path)!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    yield path
    sys.modules.pop("canary_module", None)


def assert_nothing_ran(canary):
    assert not canary.exists()
    assert "canary_module" not in sys.modules


def bytecode(canary):
    function = eval(f"lambda x: (open({str(canary)!r}, 'w').close(), x)[1]")
    return base64.b64encode(marshal.dumps(function.__code__)).decode()


class Pickled:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return open, (str(self.canary), "w")


def attacks(canary):
    code = bytecode(canary)
    lambda_config = {"code": code, "defaults": None, "closure": None}
    function = {"class_name": "__lambda__", "config": lambda_config}
    old = {"class_name": "__lambda__", "config": {"value": [code, None, None]}}
    pickled = base64.b64encode(pickle.dumps(Pickled(canary))).decode()
    objects = (
        ("keras.layers", "Lambda", {"function": function}, None),
        ("keras.layers", "TorchModuleWrapper", {"module": pickled}, None),
        ("os", "system", {"command": f"touch {canary}"}, None),
        ("canary_module", "RegisteredClass", {}, "kseq>RegisteredClass"),
        ("builtins", "function", "exec", "exec"),
        ("kseq.scripts", "function", "load_script", "load_script"),
    )
    keys = ("module", "class_name", "config", "registered_name")
    named = {f"{x[0]}.{x[1]}": dict(zip(keys, x, strict=True)) for x in objects}
    return {"__lambda__": old, **named}


ATTACKS = list(attacks("canary"))


@pytest.mark.parametrize("attack", ATTACKS)
def test_activation_config_runs_no_code(attack, canary):
    config = attacks(canary)[attack]
    for name in ("activation", "output_activation"):
        with pytest.raises(ValueError, match=f"^{name}: expected the name"):
            DNN((2,), **{name: config})
    assert_nothing_ran(canary)


def test_attack_works_without_safe_mode(canary):
    config = attacks(canary)["keras.layers.Lambda"]
    loaded = keras.saving.deserialize_keras_object(config, safe_mode=False)
    loaded(np.ones(2, "float32"))
    assert canary.exists()


def make_model(activation="dice"):
    query, keys = keras.Input((1, 3)), keras.Input((5, 3))
    lengths = keras.Input((1,), dtype="int32")
    layer = AttentionSequencePoolingLayer((4, 2), activation, name="attention")
    y = keras.layers.Dense(2)(layer([query, keys, lengths]))
    return keras.Model([query, keys, lengths], y)


def test_lambda_activation_needs_safe_mode_off(tmp_path):
    path = tmp_path / "lambda.keras"
    with pytest.warns(UserWarning, match="includes a `lambda`"):
        make_model(activation=lambda x: x / 2).save(path)
    match = r"att_activation: expected(.|\n)*pass(ing|) `safe_mode=False`"
    with pytest.raises(TypeError, match=match):
        keras.saving.load_model(path)
    keras.saving.load_model(path, safe_mode=False)
