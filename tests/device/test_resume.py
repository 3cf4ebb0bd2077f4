"""A training that is stopped and resumed in another process is bit-equal to one that never stopped.

The checkpoint holds everything that a run depends on: weights, moments, schedule, the default generator (dropout) and
the loader's own (order of the samples).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TRAIN = """
import sys
import ingot as torch
from ingot import nn
from ingot.utils.data import DataLoader, TensorDataset

device, path, first = sys.argv[1], sys.argv[2], int(sys.argv[3])
torch.manual_seed(5)
x = torch.randn(40, 6)
y = x.sum(1, keepdim=True).sin()
torch.manual_seed(1000 + first)  # a resumed run begins with other numbers, and must not keep them
order = torch.Generator().manual_seed(2000 + first)
loader = DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True, generator=order)
model = nn.Sequential(nn.Linear(6, 16), nn.GELU(), nn.Dropout(0.3), nn.LayerNorm(16), nn.Linear(16, 1)).to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 4)
if first:
    saved = torch.load(path)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    schedule.load_state_dict(saved["schedule"])
    torch.set_rng_state(saved["rng"])
    order.set_state(saved["order"])
    assert saved["epoch"] == first
for epoch in range(first, 4):
    if epoch == 2 and not first:
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict(),
                    "rng": torch.get_rng_state(), "order": order.get_state(), "epoch": epoch}, path)
    for a, b in loader:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(a.to(device)), b.to(device))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if epoch >= 2:
            print(loss.item().hex())
    schedule.step()
for parameter in model.parameters():
    print([value.hex() for value in parameter.detach().flatten().tolist()])
print(torch.rand(2).tolist(), schedule.get_last_lr())
"""


def train(device: str, checkpoint: Path, first: int) -> list[str]:
    """The printed bits of a run from epoch ``first`` on."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", TRAIN, device, checkpoint, str(first)],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_resumed_process_goes_on_bit_by_bit(device: str, tmp_path: Path) -> None:
    through = train(device, tmp_path / "checkpoint", 0)
    resumed = train(device, tmp_path / "checkpoint", 2)
    assert len(through) == 6 + 6 + 1  # losses, parameters, what follows
    assert resumed == through
