"""Lists every adapter and runs a shader of one line on each.

Runs in a child process. `adapters` is the one place that fixes which index means which adapter; `device` uses it too.
OpenGL is left out: its drivers have compute shaders of a lesser kind, and every device that matters has another.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ingot_devices import DeviceInfo, Unavailable

CPU_PRIORITY = -20
_BACKENDS = ("Vulkan", "Metal", "DX12")
_KINDS = {"DiscreteGPU": "discrete GPU", "IntegratedGPU": "integrated GPU", "CPU": "software on the CPU"}
_SOURCE = """
@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@compute @workgroup_size(4)
fn one(@builtin(local_invocation_index) i: u32) {{ out[i] = {}u; }}
"""
_NO_WGPU = "pip install wgpu"
_NO_DRIVER = ("install a Vulkan driver for your hardware, or Mesa's for the CPU: "
              "`apt-get install mesa-vulkan-drivers libvulkan1`")  # fmt: skip
_UPDATE = "update its driver"


def adapters() -> list[Any]:
    """All wgpu adapters, in the order of the drivers."""
    import wgpu

    with _no_window_system():
        if not _Chosen.done:
            from wgpu.backends.wgpu_native.extras import set_instance_extras

            set_instance_extras(backends=_BACKENDS)
            _Chosen.done = True
        return list(wgpu.gpu.enumerate_adapters_sync())


@contextmanager
def _no_window_system() -> Iterator[None]:
    """Mesa's layer that puts the screen's device first connects to the window system, and complains where there is none."""
    before = os.environ.get("NODEVICE_SELECT")
    os.environ["NODEVICE_SELECT"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["NODEVICE_SELECT"]
        else:
            os.environ["NODEVICE_SELECT"] = before


class _Chosen:
    """wgpu has one instance in a process, and takes the choice of its backends once."""

    done = False


def probe() -> Sequence[DeviceInfo] | Unavailable:
    """What `adapters` finds, each with the fault that a shader on it shows."""
    try:
        found = adapters()
    except ImportError as error:
        return Unavailable(f"wgpu cannot be imported ({error})", _NO_WGPU)
    except Exception as error:
        return Unavailable(f"wgpu finds no graphics driver ({_line(error)})", _NO_DRIVER)
    if not found:
        return Unavailable("wgpu finds no Vulkan, Metal or Direct3D 12 adapter", _NO_DRIVER)
    return [describe(adapter) for adapter in found]


def describe(adapter: Any) -> DeviceInfo:
    """What the operator sees of one adapter."""
    info = adapter.info
    fault = _try(adapter)
    kind = str(info["adapter_type"])
    return DeviceInfo(
        name=str(info["device"]).strip() or str(info["description"]),
        driver=str(info["description"]),
        details={"api": str(info["backend_type"]), "type": _KINDS.get(kind, kind)},
        priority=CPU_PRIORITY if kind == "CPU" else None,
        fault=fault,
        remedy=_UPDATE if fault else "",
    )


def _try(adapter: Any) -> str:
    """Build and run one line; why it fails, or nothing."""
    import wgpu

    number = time.time_ns() & 0x7FFFFFFF  # a new source, which no cache of the driver answers
    try:
        device = adapter.request_device_sync()
        pipeline = device.create_compute_pipeline(
            layout="auto", compute={"module": device.create_shader_module(code=_SOURCE.format(number)), "entry_point": "one"}
        )
        buffer = device.create_buffer(size=16, usage=wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC)
        entries = [{"binding": 0, "resource": {"buffer": buffer, "offset": 0, "size": 16}}]
        encoder = device.create_command_encoder()
        work = encoder.begin_compute_pass()
        work.set_pipeline(pipeline)
        work.set_bind_group(0, device.create_bind_group(layout=pipeline.get_bind_group_layout(0), entries=entries))
        work.dispatch_workgroups(1)
        work.end()
        device.queue.submit([encoder.finish()])
        found = list(device.queue.read_buffer(buffer).cast("I"))
    except Exception as error:  # wgpu's own, a driver's, a panic of its library
        return f"a shader of one line could not be run ({_line(error)})"
    return "" if found == [number] * 4 else "a shader of one line computed something else"


def _line(error: Exception) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
