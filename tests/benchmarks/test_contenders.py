"""Every contender's calls take what the runners give them."""

import ast
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "contenders"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("[a-z]*.py")), ids=str)
def test_calls_are_told_whether_they_train(path):
    asked = 0
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            names = [argument.arg for argument in node.args.args]
            if names[:2] == ["inputs", "variables"]:
                assert names[2:] == ["training"], ast.unparse(node)[:80]
                asked += 1
    assert asked
