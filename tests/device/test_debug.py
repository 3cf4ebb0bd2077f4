"""``INGOT_DEBUG``: each device in a process of its own, with a program that does one thing wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def run(program: str, words: str, tmp_path: Path, device: str) -> subprocess.CompletedProcess[str]:
    """Run ``program``, which finds its device's name in DEVICE, from a file."""
    path = tmp_path / "program.py"
    path.write_text(program)
    environment = {**os.environ, "INGOT_DEBUG": words, "DEVICE": device}
    return subprocess.run(
        [sys.executable, str(path)], env=environment, capture_output=True, text=True, timeout=300, check=False
    )


NAN = """
import os, ingot
x = ingot.tensor([1.0, 0.0], device=os.environ["DEVICE"])
y = x / 1.0
given = ingot.tensor([float("nan")], device=os.environ["DEVICE"]) + 1   # NaN that was there before is no fault
z = ingot.log(y - 0.5)  # the line
"""


def test_nan_names_op_and_line(device: str, tmp_path: Path) -> None:
    done = run(NAN, "nan", tmp_path, device)
    line = 1 + next(k for k, text in enumerate(NAN.splitlines()) if "# the line" in text)
    assert done.returncode == 1
    assert f"LaunchError: log on {device}" in done.stderr
    assert f"called at {tmp_path / 'program.py'}:{line}, made NaN out of operands without one" in done.stderr
    assert "element [1]" in done.stderr


FINE = """
import os, ingot
from ingot import nn
device = os.environ["DEVICE"]
model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 1)).to(device)
optimizer = ingot.optim.AdamW(model.parameters(), lr=0.1)
x = ingot.randn(7, 3, device=device)
def step():
    loss = nn.functional.mse_loss(model(x), ingot.zeros(7, 1, device=device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
compiled = ingot.compile(step)
for _ in range(3):
    step()
    compiled()
print(ingot.sort(x[:, 0])[0].shape, ingot.cat([x, x])[::2].sum().item() < 1e9)
"""


def test_a_right_program_passes_with_all_of_them(device: str, tmp_path: Path) -> None:
    done = run(FINE, "sync,bounds,nan", tmp_path, device)
    assert done.returncode == 0, done.stderr[-2000:]


OUTSIDE = """
import os, ingot
from ingot import library
def careless(x, out):
    import numpy as np
    memory = np.lib.stride_tricks.as_strided(out, shape=(out.size + 1,))
    memory[-1] = 7
def before(x, out):
    import ctypes
    ctypes.memset(out.ctypes.data - 4, 1, 4)
op = library.custom_op("careless", operands="x", result="x", gradient=None)
op.register_kernel("cpu", careless if os.environ["DEVICE"] == "cpu:0" else None)
op(ingot.ones(10, device="cpu"))
"""


def test_bounds_names_the_op_that_wrote_behind_its_block(tmp_path: Path) -> None:
    """On the CPU, where a function can do it."""
    done = run(OUTSIDE, "bounds", tmp_path, "cpu:0")
    assert "careless on cpu:0" in done.stderr and "wrote outside its memory: 4 bytes from byte 40 on" in done.stderr
    assert "behind a block of 40 bytes (made at" in done.stderr
    done = run(OUTSIDE.replace("careless if", "before if"), "bounds", tmp_path, "cpu:0")
    assert "4 bytes from byte -4 on, before a block of 40 bytes" in done.stderr


def test_an_unknown_word_says_what_there_is(tmp_path: Path) -> None:
    done = run("import ingot; ingot.ones(1)", "snyc", tmp_path, "cpu:0")
    assert "INGOT_DEBUG is 'snyc'; it can be sync, bounds, nan" in done.stderr


