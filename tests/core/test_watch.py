"""What a watched call is kept apart from."""

from __future__ import annotations

import gc

import pytest
from ingot.compiler.watch import _Quiet


@pytest.mark.parametrize("before", [True, False], ids=["collecting", "not collecting"])
def test_garbage_waits_until_nobody_watches(before: bool) -> None:
    """Whichever thread ends first; and it is collected afterwards as it was before."""
    was, quiet = gc.isenabled(), _Quiet()
    try:
        (gc.enable if before else gc.disable)()
        quiet.begin()
        quiet.begin()
        quiet.end()
        assert not gc.isenabled()
        quiet.end()
        assert gc.isenabled() == before
    finally:
        (gc.enable if was else gc.disable)()
