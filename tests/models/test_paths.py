"""The paths of weights, which layout maps refer to, do not change.

`python -m tests.models.test_paths` records them again.
"""

import json
from pathlib import Path

import pytest

from tests.layers import catalog
from tests.models.examples import BY_NAME

pytestmark = pytest.mark.once

FILE = Path(__file__).parents[1] / "data" / "paths.json"
# The moving statistics of batch normalisation are weights too.
OPTIONS = {"DIN": {"dnn_use_bn": True, "dnn_activation": "dice"}}
LAYERS = {f"layer {e.name}": e for e in catalog.EXAMPLES}
NAMES = [*BY_NAME, *LAYERS]


def paths(name):
    if name in LAYERS:
        layer = LAYERS[name].trial().built(name="layer")
    else:
        layer = BY_NAME[name].make(**OPTIONS.get(name, {}))
    # Keras creates and names the states of seeds.
    return sorted(w.path for w in layer.variables if "seed_gen" not in w.path)


@pytest.mark.parametrize("name", NAMES)
def test_paths_equal_the_record_each_time(name):
    recorded = json.loads(FILE.read_text())
    assert recorded.keys() == {*NAMES}
    first = paths(name)
    assert first == recorded[name]
    assert len({*first}) == len(first)
    assert paths(name) == first


if __name__ == "__main__":
    found = {name: paths(name) for name in NAMES}
    FILE.write_text(json.dumps(found, indent=1) + "\n")
