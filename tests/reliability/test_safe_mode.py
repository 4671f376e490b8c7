"""A file of anyone's runs no code: Keras's safe mode holds in every layer.

Each attack would leave a file, the canary.
"""

import base64
import marshal
import pickle
import sys

import keras
import numpy as np
import pytest

from kseq.layers.core import DNN, AuxiliaryLoss, LocalActivationUnit
from kseq.layers.sequence import AttentionSequencePoolingLayer
from tests.reliability.keras_files import layer, make_model, read, write


@keras.saving.register_keras_serializable(package="kseq-tests")
def halve(x):
    return x / 2


@pytest.fixture
def canary(tmp_path, monkeypatch):
    """A path; whoever imports the module `canary_module` makes a file there."""
    path = tmp_path / "canary"
    (tmp_path / "canary_module.py").write_text(f"open({str(path)!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    yield path
    sys.modules.pop("canary_module", None)


def code(canary):
    """Python's bytes of a function that leaves the canary."""
    scope = {}
    exec(
        f"def f(x):\n    open({str(canary)!r}, 'w').close()\n    return x",
        scope,
    )
    return base64.b64encode(marshal.dumps(scope["f"].__code__)).decode()


class Unpickled:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return open, (str(self.canary), "w")


def named(module, class_name, config, registered_name=None):
    return {
        "module": module,
        "class_name": class_name,
        "config": config,
        "registered_name": registered_name,
    }


def attacks(canary):
    touch = f"touch {canary}"
    function = {
        "class_name": "__lambda__",
        "config": {"value": [code(canary), None, None]},
    }
    of_layer = {
        "class_name": "__lambda__",
        "config": {"code": code(canary), "defaults": None, "closure": None},
    }
    lambda_layer = named("keras.layers", "Lambda", {"function": of_layer})
    pickled = base64.b64encode(pickle.dumps(Unpickled(canary))).decode()
    return {
        "a function's code": function,
        "a layer with code": lambda_layer,
        "a layer with a layer with code": named(
            "keras.layers", "TimeDistributed", {"layer": lambda_layer}
        ),
        "a layer with a function with code": named(
            "keras.layers", "Activation", {"activation": function}
        ),
        "a model with a layer with code": named(
            "keras",
            "Sequential",
            {"layers": [lambda_layer], "build_input_shape": [None, 4]},
        ),
        "a torch module": named(
            "keras.layers", "TorchModuleWrapper", {"module": pickled}
        ),
        "a class that is none": named("os", "system", {"command": touch}),
        "a process": named(
            "subprocess", "Popen", {"args": ["touch", str(canary)]}
        ),
        "a function of the system": named("os", "function", "system", "system"),
        "a builtin": named("builtins", "function", "exec", "exec"),
        "a module's import": named("canary_module", "Layer", {}),
        "a module's import for a function": named(
            "canary_module", "function", "f", "f"
        ),
        "Keras's switch": named(
            "keras.config", "function", "enable_unsafe_deserialization"
        ),
        "Keras's download": named("keras.utils", "function", "get_file"),
        "kseq's scripts": named(
            "kseq.scripts", "function", "load_script", "load_script"
        ),
        "a class by a registered name": named(
            "canary_module", "Layer", {}, "kseq>Layer"
        ),
    }


ATTACKS = list(attacks("canary"))
# Keras's, by the place; and where a package is not installed.
REFUSALS = (AttributeError, ImportError, LookupError, TypeError, ValueError)
TAKERS = {
    "DNN": lambda a: DNN((2,), a),
    "DNN, output": lambda a: DNN((2,), output_activation=a),
    "LocalActivationUnit": lambda a: LocalActivationUnit((2,), a),
    "AuxiliaryLoss": lambda a: AuxiliaryLoss(activation=a),
    "AttentionSequencePoolingLayer": lambda a: AttentionSequencePoolingLayer(
        (2,), a
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("taker", TAKERS)
def test_no_code_of_a_config_is_run(taker, attack, canary):
    config = attacks(canary)[attack]
    with pytest.raises(ValueError, match="activation: expected the name of"):
        TAKERS[taker](config)
    assert not canary.exists()
    assert "canary_module" not in sys.modules


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    make_model().save(path)
    return read(path)


def as_activation(parts, config):
    layer(parts)["config"]["att_activation"] = config


def as_an_argument(parts, config):
    layer(parts)["config"]["att_hidden_units"] = config


def as_a_dtype(parts, config):
    layer(parts)["config"]["dtype"] = config


def as_a_layer(parts, config):
    held = layer(parts)
    inner = config["config"]
    if isinstance(inner, dict):
        config = {**config, "config": {**inner, "name": "attend"}}
    held.update({"module": None, "registered_name": None, **config})


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize(
    "place", [as_activation, as_an_argument, as_a_dtype, as_a_layer]
)
def test_no_code_of_a_file_is_run(place, attack, whole, canary, tmp_path):
    config = attacks(canary)[attack]
    parts = keras.tree.map_structure(lambda x: x, whole)
    place(parts, config)
    write(tmp_path / "bad.keras", parts)
    with pytest.raises(REFUSALS):
        keras.saving.load_model(tmp_path / "bad.keras")
    assert not canary.exists()
    assert "canary_module" not in sys.modules


def test_the_attack_would_work(canary):
    """What safe mode keeps out, with it switched off."""
    for name in ("a function's code", "a layer with code"):
        config = attacks(canary)[name]
        made = keras.saving.deserialize_keras_object(config, safe_mode=False)
        made(np.ones(2, "float32"))
        assert canary.exists()
        canary.unlink()


# What is one's own.


def test_a_lambda_is_refused_with_the_reason(tmp_path):
    with pytest.warns(UserWarning, match="includes a `lambda`"):
        make_model(activation=lambda x: x / 2).save(tmp_path / "lambda.keras")
    said = r"att_activation: expected(.|\n)*pass(ing|) `safe_mode=False`"
    with pytest.raises(TypeError, match=said):
        keras.saving.load_model(tmp_path / "lambda.keras")
    # Not where one says so.
    keras.saving.load_model(tmp_path / "lambda.keras", safe_mode=False)


def test_a_registered_function_loads(tmp_path):
    make_model(activation=halve).save(tmp_path / "function.keras")
    loaded = keras.saving.load_model(tmp_path / "function.keras")
    assert loaded.get_layer("attend").att_activation is halve
