"""The device keeps the contract, and trains."""

import os

import ingot
import ingot_devices
import pytest
from ingot_tools.conformance.command import judge

DEVICE = "acme:0"
SECONDS = float(os.environ.get("CONFORMANCE_SECONDS", "60"))  # `ingot conformance` runs all


@pytest.fixture(autouse=True)
def policy(monkeypatch):
    monkeypatch.setenv("INGOT_FALLBACK", "@policy@")


def test_it_is_found():
    assert DEVICE in ingot_devices.ready()


def test_it_keeps_the_contract():
    assert judge(DEVICE, [], [], SECONDS, "0", "", "") == 0


def test_it_trains():
    ingot.manual_seed(0)
    x = ingot.randn(64, 4, device=DEVICE)
    y = x.sum(1, keepdim=True)
    layers = [ingot.nn.Linear(4, 16), ingot.nn.Tanh(), ingot.nn.Linear(16, 1)]
    model = ingot.nn.Sequential(*layers).to(DEVICE)
    optimizer = ingot.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = ingot.nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 4
