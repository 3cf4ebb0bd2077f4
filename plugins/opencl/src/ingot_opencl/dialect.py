"""OpenCL C as a dialect of the C family: an attribute table and the rows that the language has itself."""

from __future__ import annotations

from ingot_devices.codegen.c_family import CRenderer, Dialect

_TYPES = {
    "bool": "bool", "uint8": "uchar", "int8": "char", "uint16": "ushort", "int16": "short", "uint32": "uint",
    "int32": "int", "uint64": "ulong", "int64": "long", "float16": "half", "float32": "float", "float64": "double",
    "bool*": "uchar",
}  # fmt: skip

_NATIVE = (
    "floor ceil trunc sqrt rsqrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh "
    "erf erfc atan2 hypot fmod pow fma isnan isinf"
).split()

DIALECT = Dialect(
    name="OpenCL C",
    types=_TYPES,
    rows={**{op: f"{op}({{0}})" for op in _NATIVE}, "round": "rint({0})",
          **{op: f"{op}({{0}}, {{1}})" for op in ("atan2", "hypot", "fmod", "pow")},
          "fma": "fma({0}, {1}, {2})", "abs": "fabs({0})"},
    kernel="__kernel __attribute__((reqd_work_group_size({x}, {y}, {z})))\nvoid {name}({parameters})",
    specials={"gid": "get_global_id({0})", "lid": "get_local_id({0})", "group": "get_group_id({0})",
              "groups": "get_num_groups({0})", "size": "get_local_size({0})"},
    loads={"float16": "vload_half({offset}, {memory})"},  # needs no half arithmetic
    stores={"float16": "vstore_half_rte({value}, {offset}, {memory})"},
    prologue="#pragma OPENCL FP_CONTRACT OFF",
)  # fmt: skip


RENDERER = CRenderer(DIALECT)
