"""The kernel is taken, and it is right."""

import ingot_devices
from ingot_devices.explain import explain
from ingot_tools.conformance.command import judge

DEVICE = "@device@"


def test_the_kernel_is_taken():
    found = explain("silu", ingot_devices.open_device(DEVICE))
    assert found.route == "registered"
    assert [c.owner for c in found.considered if not c.refused] == ["acme"]


def test_the_kernel_is_right():
    assert judge(DEVICE, [], ["/silu/"], None, "", "", "") == 0
