"""How many threads a product takes: small ones one, and what was set before is set again."""

from __future__ import annotations

import pytest
from ingot_devices.codegen import blas


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Stands for OpenBLAS: the thread counts that were set, the last one being in force."""
    told = [4]

    def set_threads(n: int) -> int:
        told.append(n)
        return told[-2]

    monkeypatch.setattr(blas, "set_threads", lambda: set_threads)
    return told


def test_a_small_product_runs_on_one_thread(threads: list[int]) -> None:
    seen = blas.alone(lambda x: (x, threads[-1]), (100, 100, 100))(7)
    assert seen == (7, 1)
    assert threads == [4, 1, 4]


def test_the_count_is_set_back_after_an_error(threads: list[int]) -> None:
    with pytest.raises(ZeroDivisionError):
        blas.alone(lambda: 1 / 0, (100, 100, 100))()
    assert threads == [4, 1, 4]


@pytest.mark.parametrize("extents", [(10, 10, 10), (1000, 1000, 1000)])
def test_other_products_are_left_alone(threads: list[int], extents: tuple[int, ...]) -> None:
    assert blas.alone(len, extents) is len


def test_a_product_inside_another_leaves_one_thread_to_it(threads: list[int]) -> None:
    inner = blas.alone(lambda: threads[-1], (100, 100, 100))
    outer = blas.alone(lambda: (inner(), threads[-1]), (100, 100, 100))
    assert outer() == (1, 1)
    assert threads[-1] == 4


def test_numpys_openblas_is_found_where_it_is_bundled() -> None:
    found = blas.set_threads()
    if found is None:
        pytest.skip("NumPy brings no OpenBLAS here")
    before = found(1)
    assert found(before) == 1
