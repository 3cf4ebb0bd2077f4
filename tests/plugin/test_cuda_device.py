"""The CUDA plugin at work and in trouble, on the SIMULATED driver under unmodified pycuda. No GPU was there.

Most of it is one program, whose answers are looked at one by one; what loses the context has a process of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cuda_programs
import pytest

WORK = """
d = opened()
x = ingot.arange(12, dtype=ingot.float32, device="cuda").reshape(3, 4)

# memory
big = np.random.default_rng(0).integers(0, 255, 9_500_001, dtype=np.uint8)  # more than two staging buffers
found["copies"] = bool((ingot.tensor(big, device="cuda").cpu().numpy() == big).all())
found["info"] = d.memory_info()
before = ingot.cuda.memory_allocated()
found["oom"] = message(ingot.OutOfMemoryError, lambda: ingot.empty(1 << 40, device="cuda"))
found["oom is a MemoryError"] = issubclass(ingot.OutOfMemoryError, MemoryError)
found["after oom"] = float((x + 1).sum())
found["driver's"] = message(MemoryError, lambda: d.allocate(1 << 42))
found["used is as before"] = ingot.cuda.memory_allocated() == before

# launches that cannot be
source = 'extern "C" __global__ void fill(float *x, float v) { x[threadIdx.x] = v; }'
fill = d.build(source, "fill")
import struct
arguments = Arguments((Binding(d.allocate(4096), "w"),), struct.pack("f", 2.0))
found["block"] = message(errors.LaunchError, lambda: d.launch(fill, (1, 1, 1), (2048, 1, 1), arguments))
found["deep block"] = message(errors.LaunchError, lambda: d.launch(fill, (1, 1, 1), (1, 1, 128), arguments))
found["grid"] = message(errors.LaunchError, lambda: d.launch(fill, (1, 70000, 1), (1, 1, 1), arguments))
fill.dynamic, fill.grid = 1 << 20, None
found["shared"] = message(errors.LaunchError, lambda: d.launch(fill, (1, 1, 1), (1, 1, 1), arguments))
fill.dynamic = 0
d.launch(fill, (1, 1, 1), (256, 1, 1), arguments)
d.synchronize()
found["source"] = message(errors.KernelBuildError, lambda: d.build(source.replace("= v", "= w"), "fill"))

# streams and events
side = d.create_stream()
start = d.record_event(side)
d.launch(fill, (1, 1, 1), (256, 1, 1), arguments, side)
end = d.record_event(side)
d.wait_event(end)
d.synchronize_event(end)
found["event"] = d.event_done(end) and d.elapsed_ms(start, end) >= 0
outer = d.set_stream(side)
found["stream"] = outer is None and d.current_stream() is side and d.stream_number() == side.handle
d.set_stream(None)

# threads
sums, faults = [], []
def work(n):
    try:
        for k in range(5):
            sums.append(float((x * n).sum()))
    except BaseException as fault:
        faults.append(repr(fault))
threads = [threading.Thread(target=work, args=(n,)) for n in (1, 2)]
[t.start() for t in threads]
[t.join() for t in threads]
found["threads"] = [sorted(sums), faults]

# other libraries
y = ingot.from_dlpack(x)
y += 1
found["shared memory"] = x.cpu().numpy().tolist()
odd = ingot.from_dlpack(x.reshape(-1)[1:])
found["odd address"] = (odd * 2).cpu().numpy().tolist()
interface = x.T.__cuda_array_interface__
found["interface"] = [interface[k] for k in ("typestr", "strides", "version")] + [interface["stream"] == d.stream_number()]
class Lent:
    __cuda_array_interface__ = {**interface, "stream": 1}
found["from interface"] = bool((ingot.as_tensor(Lent()).cpu() == x.T.cpu()).all())
class Host:
    __cuda_array_interface__ = {"shape": (4,), "typestr": "<f4", "version": 3, "strides": None,
                                "data": (np.zeros(64, np.float32).ctypes.data // 16 * 16 + 16, False)}
found["the host's"] = message(ValueError, lambda: ingot.as_tensor(Host()))
class Torn:
    __cuda_array_interface__ = {**x.__cuda_array_interface__, "strides": (16, 6)}
found["torn strides"] = message(BufferError, lambda: ingot.as_tensor(Torn()))
class Elsewhere:
    def __dlpack_device__(self): return (7, 0)
found["elsewhere"] = message(BufferError, lambda: ingot.from_dlpack(Elsewhere()))
capsule = x.__dlpack__()
from ingot import interchange
kept = len(interchange._exported)
del capsule
found["capsule"] = kept - len(interchange._exported)

# names and devices
found["no such index"] = message(ingot.DeviceUnavailable, lambda: ingot.zeros(1, device="cuda:7"))
found["mixed"] = message(RuntimeError, lambda: x + ingot.ones(3, 4))
found["name"] = ingot.cuda.get_device_name()
from ingot_devices.explain import explain
from ingot_devices import dtypes as dt
found["matmul"] = [[c.route, c.refused] for c in explain("matmul", d, (dt.float32, dt.float32)).considered]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cuda")


@pytest.fixture(scope="module")
def worked(folder: Path) -> dict[str, Any]:
    return cuda_programs.run(WORK, folder)


class TestWork:
    def test_copies_longer_than_the_staging_buffers(self, worked: dict[str, Any]) -> None:
        assert worked["copies"]
        assert worked["info"][0] <= worked["info"][1] == 2 << 30

    def test_out_of_memory_is_typed_and_the_program_goes_on(self, worked: dict[str, Any]) -> None:
        assert "cuda:0" in worked["oom"] and worked["oom is a MemoryError"]
        assert worked["driver's"].startswith("cuda:0 has no memory for 4398046511104 bytes")
        assert worked["after oom"] == 78.0
        assert worked["used is as before"]

    @pytest.mark.parametrize(
        ("key", "told"),
        [
            ("block", "refused kernel fill: a block of (2048, 1, 1) has 2048 threads; this kernel takes 1024"),
            ("deep block", "a block of (1, 1, 128) has 128 threads; this kernel takes 1024, at most (1024, 1024, 64)"),
            ("grid", "refused kernel fill: a grid of (1, 70000, 1) blocks; at most (2147483647, 65535, 65535)"),
            ("shared", "refused kernel fill: it wants 1048576 bytes of shared memory; a block has "),
        ],
    )
    def test_what_is_over_a_limit_is_refused_with_it(self, worked: dict[str, Any], key: str, told: str) -> None:
        assert told in worked[key]

    def test_a_refused_source_names_device_and_line(self, worked: dict[str, Any]) -> None:
        assert worked["source"].startswith("cuda:0 could not build kernel fill: ")

    def test_streams_and_events(self, worked: dict[str, Any]) -> None:
        assert worked["event"] and worked["stream"]

    def test_two_threads_on_one_device(self, worked: dict[str, Any]) -> None:
        assert worked["threads"] == [[66.0] * 5 + [132.0] * 5, []]

    def test_an_index_that_does_not_exist(self, worked: dict[str, Any]) -> None:
        assert "device 'cuda:7' does not exist: cuda has 1" in worked["no such index"]

    def test_devices_are_not_mixed(self, worked: dict[str, Any]) -> None:
        assert "expected all tensors to be on the same device" in worked["mixed"]

    def test_the_name_says_that_it_is_simulated(self, worked: dict[str, Any]) -> None:
        assert "SIMULATED" in worked["name"]

    def test_without_cublas_the_own_kernel_is_used_and_explain_says_why(self, worked: dict[str, Any]) -> None:
        *refused, taken = worked["matmul"]
        assert taken == ["generated", ""]
        assert refused and all(route == "registered" and "cuBLASLt" in why for route, why in refused)


class TestOtherLibraries:
    def test_memory_is_shared(self, worked: dict[str, Any]) -> None:
        assert worked["shared memory"] == [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [9.0, 10.0, 11.0, 12.0]]
        assert worked["odd address"] == [2.0 * k for k in range(2, 13)]

    def test_the_array_interface_both_ways(self, worked: dict[str, Any]) -> None:
        assert worked["interface"] == ["<f4", [4, 16], 3, True]
        assert worked["from interface"]

    def test_an_export_lives_as_long_as_its_consumer(self, worked: dict[str, Any]) -> None:
        assert worked["capsule"] == 1

    def test_foreign_memory_is_refused_by_name(self, worked: dict[str, Any]) -> None:
        assert "is no memory of a GPU that this process knows" in worked["the host's"]
        assert "strides of (16, 6) bytes are no whole elements of float32" in worked["torn strides"]
        assert "no usable backend has memory of DLPack's device type 7" in worked["elsewhere"]


class TestTrouble:
    def test_an_illegal_address_loses_the_context_by_name(self, folder: Path) -> None:
        program = """
        d = opened()
        x = ingot.ones(8, device="cuda")
        y = x * 3
        wild = d.build('extern "C" __global__ void wild(float *x) { x[1ull << 40] = 1; }', "wild")
        d.launch(wild, (1, 1, 1), (1, 1, 1), Arguments((Binding(x._block.handle, "w"),), b""))
        found["told"] = message(ingot.DeviceLost, ingot.cuda.synchronize)
        found["later"] = message(ingot.DeviceLost, lambda: y + 1)
        found["host"] = float(ingot.ones(3).sum())
        """
        found = cuda_programs.run(program, folder)
        assert found["told"].startswith("cuda:0 was lost while it worked on waiting (")
        assert "the last launches were " in found["told"] and "ingot_mul, wild. The CUDA context" in found["told"]
        assert "start a new process" in found["told"]
        assert "cuda:0 was lost, and its tensors with it: start a new process" in found["later"]
        assert found["host"] == 3.0

    def test_a_fork_after_use(self, folder: Path) -> None:
        program = """
        x = ingot.ones(4, device="cuda") + 1
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(write, message(ingot.DeviceLost, lambda: x + 1).encode())
            sys.exit(0)
        os.close(write)
        found["status"] = os.waitpid(child, 0)[1]
        found["child"] = os.read(read, 1000).decode()
        found["parent"] = float((x + 1).sum())
        """
        found = cuda_programs.run(program, folder)
        assert found["status"] == 0
        assert "cuda:0 was lost" in found["child"] and "by spawn" in found["child"]
        assert found["parent"] == 12.0

    def test_kernels_come_from_the_cache(self, folder: Path) -> None:
        program = """
        from ingot_cuda import compiler
        made = []
        compile_source = compiler.compile_source
        compiler.compile_source = lambda *a, **k: made.append(a[1]) or compile_source(*a, **k)
        (ingot.ones(9, device="cuda") * 7).cpu()
        found["compiled"] = made
        """
        cuda_programs.run(program, folder / "kept")
        assert cuda_programs.run(program, folder / "kept")["compiled"] == []


class TestNoDevice:
    def test_a_driver_that_reports_none(self, folder: Path) -> None:
        """Unmodified pycuda, and a driver without a device: a reason, a remedy, and everything else works."""
        program = """
        record = discovery.record("cuda")
        found["state"], found["reason"], found["remedy"] = record.state, record.reason, record.remedy
        found["told"] = message(ingot.DeviceUnavailable, lambda: ingot.zeros(1, device="cuda"))
        found["available"] = [ingot.cuda.is_available(), ingot.cuda.device_count()]
        found["cpu"] = float(ingot.ones(3).sum())
        """
        found = cuda_programs.run(program, folder / "none", INGOT_CUDA_SIM_DEVICES="0")
        assert found["state"] == "no hardware"
        assert "NVIDIA's driver shows no GPU" in found["reason"]
        assert "nvidia-smi" in found["remedy"]
        assert "device 'cuda' is not available: no hardware: NVIDIA's driver shows no GPU" in found["told"]
        assert found["available"] == [False, 0] and found["cpu"] == 3.0


class TestTwoDevices:
    PROGRAM = """
    a, b = ingot.arange(1000, device="cuda:0"), ingot.ones(1000, device="cuda:1")
    found["moved"] = float((a.to("cuda:1") + b).sum())
    found["both"] = [str(a.device), str((b + 1).device)]
    found["mixed"] = message(RuntimeError, lambda: a + b)
    found["turns"] = [float((x + 1).sum()) for x in (a, b, a, b)]
    """

    def test_both_work_and_copy_to_each_other(self, folder: Path) -> None:
        found = cuda_programs.run(self.PROGRAM, folder / "two", INGOT_CUDA_SIM_DEVICES="2")
        assert found["moved"] == 999 * 500 + 1000
        assert found["both"] == ["cuda:0", "cuda:1"]
        assert "cuda:0 and cuda:1" in found["mixed"]
        assert found["turns"] == [500500.0, 2000.0] * 2


MULTIPLY = """
from ingot.dispatch import launch_counts
from ingot_cuda import cublaslt
lib = cublaslt.Library(os.environ["STAND_IN"])
cublaslt._find = lambda: lib
rng = np.random.default_rng(0)
def t(*shape, dtype=ingot.float32):
    return ingot.tensor(rng.standard_normal(shape).astype(np.float32), device="cuda").to(dtype)
def n(x):
    return x.to(ingot.float64).cpu().numpy()
def far(got, wanted):
    return float(np.abs(n(got) - wanted).max())
shapes = [((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)), ((1, 4), (4, 1)), ((3, 1), (1, 5)),
          ((5, 2, 3, 4), (2, 4, 5)), ((3, 4), (2, 4, 5)), ((2, 1, 3, 4), (1, 6, 4, 2))]
found["dense"] = [far(x @ y, n(x) @ n(y)) for x, y in ((t(*a), t(*b)) for a, b in shapes)]
turned = lambda *s: t(*s[:-2], s[-1], s[-2]).transpose(-1, -2)
found["transposed"] = [far(x @ y, n(x) @ n(y)) for x, y in ((turned(*a), turned(*b)) for a, b in shapes)]
x, y = t(6, 8), t(8, 6)
found["stepped"] = far(x[::2] @ y[:, ::2], n(x)[::2] @ n(y)[:, ::2])
found["offset"] = far(x[1:, 1:] @ y[1:, 1:], n(x)[1:, 1:] @ n(y)[1:, 1:])
w, b, z = t(7, 8), t(7), t(2, 3, 8)
found["linear"] = far(ingot.nn.functional.linear(z, w, b), n(z) @ n(w).T + n(b))
found["linear without bias"] = far(ingot.nn.functional.linear(z, w), n(z) @ n(w).T)
each, kept = t(2, 3, 7), dict(launch_counts("cuda:0"))
found["linear with a summand"] = [far(ingot.nn.functional.linear(z, w, e), n(z) @ n(w).T + n(e)) for e in (each, each[:1, :1])]
found["summed by"] = launch_counts("cuda:0")["registered"] - kept["registered"]
found["addmm"] = far(ingot.addmm(t(6, 6) * 0 + 1, x, y, beta=2, alpha=3), 2 + 3 * n(x) @ n(y))
found["halves"] = [far(x.to(d) @ y.to(d), n(x.to(d)) @ n(y.to(d))) for d in (ingot.float16, ingot.bfloat16)]
found["double"] = far(x.to(ingot.float64) @ y.to(ingot.float64), n(x) @ n(y))
x.requires_grad_()
(x @ y).sum().backward()
found["gradient"] = far(x.grad, np.ones((6, 6)) @ n(y).T)
found["counts"] = launch_counts("cuda:0")
found["recent"] = "cublasLtMatmul" in opened().recent
from ingot_cuda.cublaslt import Matrix, Product
d = opened()
for epilogue, f in (("relu", lambda v: np.maximum(v, 0)),
                    ("gelu_tanh", lambda v: v * (1 + np.tanh(0.7978845608028654 * (v + 0.044715 * v**3))) / 2)):
    sides = Matrix(6, 8, 6), Matrix(8, 6, 8), Matrix(6, 6, 6)
    p = Product(lib, d, "float32", *sides, (False, False), epilogue=epilogue, bias=True)
    out, added = ingot.empty(6, 6, device="cuda"), t(6)
    stream, workspace = d.library("cublasLtMatmul")
    p.run(y._block.handle, x._block.handle, out._block.handle, stream, workspace, bias=added._block.handle)
    found[epilogue] = far(out, f(n(x.detach()) @ n(y) + n(added)))
def layer(x, w, b, f):
    return f(ingot.nn.functional.linear(x, w, b))
relu, gelu = ingot.nn.functional.relu, lambda v: ingot.nn.functional.gelu(v, approximate="tanh")
for name, f in (("relu", relu), ("gelu_tanh", gelu)):
    made = ingot.compile(layer, mode="max-autotune", fullgraph=True)
    for _ in range(3):
        out = made(z, w, b, f)
    told = made.explain(times=False)
    found["compiled " + name] = [far(out, n(layer(z, w, b, f))), f"{name} of linear by its kernel" in told, "1 after" in told]
from ingot_devices.opset.op import OPS
from ingot_devices.resolve import resolve
def steps(op, *operands):
    keys = [None if o is None else o._layout for o in operands]
    return [s.op for s in resolve(OPS[op], keys, OPS[op].bind({}), d).steps]
spread = t(1, 1).expand(6, 7)
found["spread"] = [steps("linear", spread, t(7, 8).t(), None), steps("matmul", spread.t(), t(6, 8))]
from ingot_devices.explain import explain
from ingot_devices import dtypes as dt
def explained():
    e = explain("matmul", d, (dt.float32, dt.float32))
    return [[e.route, c.owner] for c in e.considered][-1] + [e.source if hasattr(e, "source") else ""]
found["explained"] = explained()
ingot.backends.cuda.matmul.allow_tf32 = True
found["precision"] = ingot.get_float32_matmul_precision()
"""


@pytest.fixture(scope="module")
def multiplied(folder: Path) -> dict[str, Any]:
    return cuda_programs.run(MULTIPLY, folder, STAND_IN=str(cuda_programs.library(folder)))


class TestLibrary:
    """Matrix products by a stand-in for cuBLASLt: what the plugin describes is what it means."""

    @pytest.mark.parametrize(
        ("key", "bound"),
        [("dense", 1e-5), ("transposed", 1e-5), ("stepped", 1e-5), ("offset", 1e-5), ("linear", 1e-5),
         ("linear without bias", 1e-5), ("linear with a summand", 1e-5), ("addmm", 1e-4), ("double", 1e-12),
         ("gradient", 1e-5), ("relu", 1e-5), ("gelu_tanh", 1e-5), ("halves", 0.05)],
    )  # fmt: skip
    def test_products(self, multiplied: dict[str, Any], key: str, bound: float) -> None:
        found = multiplied[key]
        assert max(found if isinstance(found, list) else [found]) < bound

    def test_they_were_the_library_s(self, multiplied: dict[str, Any]) -> None:
        assert multiplied["counts"]["registered"] >= 20
        assert multiplied["recent"]
        assert multiplied["summed by"] == 1  # a summand for each element; one that broadcasts is the generated kernel's
        assert multiplied["explained"][:2] == ["registered", "cuda"]

    def test_of_a_gradient_that_is_one_number_only_itself_is_copied(self, multiplied: dict[str, Any]) -> None:
        assert multiplied["spread"] == [["copy", "linear"], ["copy", "matmul"]]

    @pytest.mark.parametrize("op", ["relu", "gelu_tanh"])
    def test_a_compiled_layer_takes_its_activation_as_the_epilogue(self, multiplied: dict[str, Any], op: str) -> None:
        distance, listed, one = multiplied[f"compiled {op}"]
        assert distance < 1e-5 and listed and one

    def test_the_switch_for_float32(self, multiplied: dict[str, Any]) -> None:
        assert multiplied["precision"] == "high"


def test_a_precision_that_does_not_exist_is_refused() -> None:
    from ingot_devices import precision

    with pytest.raises(ValueError, match="one of highest, high, medium; 'best' was given"):
        precision.set_float32_matmul("best")
