"""The paths of weights, which layout maps are written against, are kept.

`python -m tests.models.test_paths` writes them anew.
"""

import json
from pathlib import Path

import pytest

from tests.layers import examples as layers
from tests.models import examples as models

FILE = Path(__file__).parents[1] / "data" / "paths.json"
# With batch statistics, whose weights have paths, too.
STATISTICS = {"DIN": {"dnn_use_bn": True, "dnn_activation": "dice"}}
EXAMPLES = {
    **{e.name: e for e in models.EXAMPLES},
    **{f"layer {e.name}": e for e in layers.EXAMPLES},
}


def paths(name):
    example = EXAMPLES[name]
    if name.startswith("layer "):
        made = example.built(name="layer")
    else:
        made = example.make(**STATISTICS.get(name, {}))
    # The state of a seed is Keras's own, and not of every layer's making.
    return sorted(w.path for w in made.variables if "seed_gen" not in w.path)


@pytest.mark.parametrize("name", EXAMPLES)
def test_paths_are_as_recorded_and_do_not_count_what_was_made_before(name):
    recorded = json.loads(FILE.read_text())
    assert recorded.keys() == EXAMPLES.keys()
    first = paths(name)
    assert first == recorded[name]
    assert len({*first}) == len(first)
    assert paths(name) == first


if __name__ == "__main__":
    found = {name: paths(name) for name in EXAMPLES}
    FILE.write_text(json.dumps(found, indent=1) + "\n")
