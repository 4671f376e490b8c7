"""The paths of weights, which layout maps refer to, do not change.

`python -m tests.models.test_paths` records them again.
"""

import json
from pathlib import Path

import pytest

from tests.layers import catalog
from tests.models import examples as models

pytestmark = pytest.mark.once

FILE = Path(__file__).parents[1] / "data" / "paths.json"
# The moving statistics of batch normalisation are weights too.
OPTIONS = {"DIN": {"dnn_use_bn": True, "dnn_activation": "dice"}}
EXAMPLES = {
    **{e.name: e for e in models.EXAMPLES},
    **{f"layer {e.name}": e for e in catalog.EXAMPLES},
}


def paths(name):
    example = EXAMPLES[name]
    is_layer = name.startswith("layer ")
    options = {"name": "layer"} if is_layer else OPTIONS.get(name, {})
    create = example.trial().built if is_layer else example.make
    layer = create(**options)
    # Keras creates and names the states of seeds.
    return sorted(w.path for w in layer.variables if "seed_gen" not in w.path)


@pytest.mark.parametrize("name", EXAMPLES)
def test_paths_equal_the_record_each_time(name):
    recorded = json.loads(FILE.read_text())
    assert recorded.keys() == EXAMPLES.keys()
    first = paths(name)
    assert first == recorded[name]
    assert len({*first}) == len(first)
    assert paths(name) == first


if __name__ == "__main__":
    found = {name: paths(name) for name in EXAMPLES}
    FILE.write_text(json.dumps(found, indent=1) + "\n")
