"""Compute every row of the scoreboard; `tox run -e scoreboard` runs this."""

import contextlib

import pytest
from calls import rows


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.name)
def test_row(row, agreement):
    for call in row.calls:
        function = call.function or row.function
        # An error says that there is nothing to compute.
        with contextlib.suppress(ValueError):
            agreement(
                function() if call.makes else function,
                *call.args,
                kinds=call.kinds,
                dtypes=call.dtypes,
                **call.kwargs,
            )
