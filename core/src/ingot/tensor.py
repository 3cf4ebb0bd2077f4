"""The Tensor: what users hold. First stop of the eager flow.

A `View` (block, layout, offset) with autograd metadata; the methods are the functions of `ops` under the same names,
put here by name (`methods`). Operators go straight to dispatch's fast paths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ingot_devices import dtypes as dt
from ingot_devices.context import state
from ingot_devices.opset.op import OPS
from ingot_devices.transfer import read, read_number

from . import cuda, dispatch
from .autograd.api import backward
from .autograd.node import LeafNode, Node
from .autograd.removable import Removable
from .base import REBOUND, TensorBase
from .cpu import KIND as CPU
from .devices import device as device_name
from .devices import device_of
from .inplace import assign, fill
from .layouts import Size
from .methods import install
from .moves import destination, rebuild, sent
from .ops import creation, linalg, shape, subscript
from .ops.common import check_dtype, run
from .printing import tensor_text


class Tensor(TensorBase):
    """A multi-dimensional array on a device, recorded for differentiation where ``requires_grad`` is set."""

    if TYPE_CHECKING:  # the methods put here from `ops`
        def __getattr__(self, name: str) -> Any: ...
        def _unary(self) -> Any: ...
        def _binary(self, other: Any) -> Any: ...

        __neg__ = __abs__ = __invert__ = _unary
        __add__ = __sub__ = __mul__ = __truediv__ = __floordiv__ = __mod__ = __pow__ = _binary
        __radd__ = __rmul__ = __rand__ = __ror__ = __rxor__ = __and__ = __or__ = __xor__ = __lshift__ = __rshift__ = (
            _binary
        )
        __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _binary
        __iadd__ = __isub__ = __imul__ = __itruediv__ = __ifloordiv__ = __imod__ = __ipow__ = _binary
        __iand__ = __ior__ = __ixor__ = __ilshift__ = __irshift__ = _binary

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if not args and not kwargs:
            return object.__new__(cls)
        data = args[0]
        if len(args) == 1 and not isinstance(data, int):
            made = creation.tensor(data, **kwargs) if not isinstance(data, TensorBase) else data.detach()
            return made.to(dt.float32) if not isinstance(data, TensorBase) and made.dtype.kind != "f" else made
        return creation.empty(*args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Everything is done by `__new__`."""

    # ---- what it is ------------------------------------------------------------------------------------------------
    @property
    def shape(self) -> Size:
        """The size of each axis."""
        return Size(self._layout.shape)

    @property
    def dtype(self) -> dt.DType:
        """The dtype of the elements."""
        return self._layout.dtype

    @property
    def device(self) -> device_name:
        """Where it lives."""
        return device_of(self._layout.device)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self._layout.shape)

    def dim(self) -> int:
        """The number of axes."""
        return len(self._layout.shape)

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one axis."""
        if dim is None:
            return Size(self._layout.shape)
        try:
            return self._layout.shape[dim]
        except IndexError:
            n = max(self.ndim, 1)
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})"
            ) from None

    def stride(self, dim: int | None = None) -> Any:
        """Elements between neighbours along each axis, or one."""
        return self._layout.strides if dim is None else self._layout.strides[dim]

    def numel(self) -> int:
        """The number of elements."""
        return self._layout.size

    nelement = numel

    def element_size(self) -> int:
        """Bytes of an element."""
        return self._layout.dtype.itemsize

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return self._layout.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self._layout.size * self._layout.dtype.itemsize

    def storage_offset(self) -> int:
        """Elements from the start of the storage."""
        return self._offset

    def data_ptr(self) -> int:
        """The address of the first element, on devices whose memory the host sees; else a number that identifies the block."""
        if state.context.recording:
            state.recorder.stop("data_ptr()")
        if self._layout.device.host_visible:
            return int(self.native().ctypes.data)
        return id(self._block) + self._offset * self._layout.dtype.itemsize

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """True when the elements lie row-major without gaps."""
        return self._layout.is_dense

    def is_floating_point(self) -> bool:
        """True for float dtypes."""
        return self._layout.dtype.is_floating_point

    def is_complex(self) -> bool:
        """True for complex dtypes."""
        return self._layout.dtype.is_complex

    def is_signed(self) -> bool:
        """True for dtypes with negative numbers."""
        return self._layout.dtype.is_signed

    def is_inference(self) -> bool:
        """True when made in inference mode."""
        return self._inference

    @property
    def is_cuda(self) -> bool:
        """True on a device of the backend of that name."""
        return self.device.type == cuda.KIND

    def get_device(self) -> int:
        """The index of the device; -1 on the CPU."""
        return -1 if self.device.index is None else self.device.index

    # ---- autograd ----------------------------------------------------------------------------------------------------
    @property
    def requires_grad(self) -> bool:
        """True when gradients are recorded for it."""
        return self._edge is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Start (or stop) recording; only a leaf can stop."""
        if requires_grad and self._edge is None:
            if self._layout.dtype.kind not in "fc":
                raise RuntimeError(
                    f"only Tensors of floating point dtype can require gradients, not {self._layout.dtype!r}"
                )
            if self._inference and not state.context.inference:
                raise RuntimeError(
                    "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed."
                )
            self._edge = (LeafNode(self), 0)
            REBOUND[0] += 1
        elif not requires_grad and self._edge is not None:
            if self._edge[0].seq > 0:
                raise RuntimeError(
                    "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a "
                    "subgraph that doesn't require differentiation use var_no_grad = var.detach()."
                )
            self._edge = None
            REBOUND[0] += 1
        return self

    @property
    def is_leaf(self) -> bool:
        """True when no recorded op made it."""
        return self._edge is None or self._edge[0].seq < 0

    @property
    def grad_fn(self) -> Node | None:
        """The node that made it, or None for a leaf."""
        return None if self._edge is None or self._edge[0].seq < 0 else self._edge[0]

    @property
    def _version(self) -> int:
        if state.context.recording:
            state.recorder.stop("_version")
        return self._block.version

    @property
    def retains_grad(self) -> bool:
        """True when `retain_grad` was called on a result."""
        return "_retained" in self.__dict__

    def backward(
        self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None
    ) -> None:
        """Accumulate the gradient of this tensor into the leaves behind it."""
        backward(self, gradient, retain_graph, create_graph, inputs)

    def detach(self) -> Any:
        """The same memory without history."""
        made = TensorBase.kind.make(self._block, self._layout, self._offset, self._native)
        if self._inference:
            made._inference = True
        return made

    def detach_(self) -> Tensor:
        """Forget the history, in place."""
        if self._base is not None and self._edge is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead")
        self._edge = None
        REBOUND[0] += 1
        return self

    @property
    def data(self) -> Any:
        """`detach`; assigning swaps the memory under the tensor."""
        return self.detach()

    @data.setter
    def data(self, value: Any) -> None:
        self._block, self._layout, self._native = value._block, value._layout, value._native
        self._offset = value._offset
        REBOUND[0] += 1

    def register_hook(self, hook: Callable[[Any], Any]) -> Any:
        """Call ``hook(grad)`` when this tensor's gradient is known; what it returns replaces the gradient."""
        if self._edge is None:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        node, number = self._edge
        if node.hooks is None:
            node.hooks = {}
        return Removable(node.hooks.setdefault(number, []), hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Any], None]) -> Any:
        """Call ``hook(tensor)`` after its ``.grad`` was updated (leaves only)."""
        if self._edge is None or not isinstance(self._edge[0], LeafNode):
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        return Removable(self._edge[0].after, hook)

    def retain_grad(self) -> None:
        """Keep the gradient of a result in ``.grad``."""
        if self._edge is None:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if self.is_leaf or self.retains_grad:
            return
        from weakref import ref

        me = ref(self)

        def keep(g: Any) -> None:
            tensor = me()
            if tensor is not None:
                tensor.grad = g if tensor.grad is None else tensor.grad + g

        self.__dict__["_retained"] = self.register_hook(keep)

    # ---- values on the host ----------------------------------------------------------------------------------------------
    def item(self) -> Any:
        """The one element as a Python number; waits for the device."""
        if self._layout.size != 1:
            raise RuntimeError(f"a Tensor with {self._layout.size} elements cannot be converted to Scalar")
        return read_number(self)

    def tolist(self) -> Any:
        """Nested lists of Python numbers; waits for the device."""
        return read(self).tolist()

    def numpy(self, *, force: bool = False) -> Any:
        """A NumPy array: of the same memory on the CPU, elsewhere an error that says what to do, or a copy if ``force``."""
        if state.context.recording:
            state.recorder.stop("numpy()")
        if force:
            return self.detach().numpy() if self._layout.device.host_visible else read(self)
        if self._edge is not None:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        opened = self._layout.device
        if opened.axes:
            return read(self)  # which says why not
        if not opened.host_visible:
            raise TypeError(
                f"can't convert {opened.name} device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory "
                "first."
            )
        from ingot_devices.memory import hold

        return hold(self._block, self.native())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        array = self.numpy()
        if dtype is not None:
            array = array.astype(dtype, copy=False)
        return array.copy() if copy else array

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self._layout.dtype.kind not in "uib" or self._layout.size != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __bool__(self) -> bool:
        if self._layout.size != 1:
            what = "no values" if not self._layout.size else "more than one value"
            raise RuntimeError(f"Boolean value of Tensor with {what} is ambiguous; use any() or all()")
        return bool(self.item())

    def __format__(self, spec: str) -> str:
        if self.ndim == 0:
            return format(self.item(), spec)
        return format(str(self), spec)

    def __len__(self) -> int:
        if not self._layout.shape:
            raise TypeError("len() of a 0-d tensor")
        return self._layout.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self._layout.shape:
            raise TypeError("iteration over a 0-d tensor")
        return iter(shape.unbind(self))

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    __hash__ = object.__hash__  # by identity; a function of Python's would cost more than the look-up

    def __repr__(self) -> str:
        return tensor_text(self)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__()})

    # ---- other devices and dtypes ----------------------------------------------------------------------------------------
    def to(self, *args: Any, **kwargs: Any) -> Any:
        """``to(device)``, ``to(dtype)``, ``to(device, dtype)``, ``to(other)``: the tensor itself where nothing changes."""
        target, dtype, copy = destination(args, kwargs)
        return sent(self, target, dtype, copy)

    def type(self, dtype: Any = None) -> Any:
        """The name of the type, or the tensor in ``dtype``."""
        if dtype is None:
            return f"ingot.{self._layout.dtype.name.title()}Tensor"
        return self.to(check_dtype(dtype))

    def type_as(self, other: Any) -> Any:
        """In the dtype and on the device of ``other``."""
        return self.to(other.device, other.dtype)

    def cpu(self) -> Any:
        """On the CPU."""
        return self.to(CPU)

    def cuda(self, device: Any = None, non_blocking: bool = False) -> Any:
        """On a device of the backend of that name."""
        return self.to(cuda.KIND if device is None else f"{cuda.KIND}:{device}" if isinstance(device, int) else device)

    def pin_memory(self) -> Any:
        """The tensor itself: the contract stages copies where a device needs it."""
        return self

    def record_stream(self, stream: Any) -> None:
        """Note that ``stream`` uses this memory: once dropped, it is not used again before what is queued there is done."""
        from .streams import record_stream

        record_stream(self, stream)

    def copy_(self, src: Any, non_blocking: bool = False) -> Tensor:
        """Write the values of ``src`` (broadcast, cast, from any device) here."""
        if not isinstance(src, TensorBase):
            src = creation.tensor(src, device=self.device)
        if src._layout.shape != self._layout.shape:
            src = src.expand(self._layout.shape)
        assign(self, src if src._layout.device is self._layout.device else src.to(self.device, self._layout.dtype))
        return self

    def fill_(self, value: Any) -> Tensor:
        """Write one number everywhere."""
        if not isinstance(value, TensorBase):
            fill(self, value)
            return self
        if value.ndim:
            raise RuntimeError(
                f"fill_ only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions."
            )
        assign(self, value.to(self.device, self.dtype).expand(self._layout.shape))
        return self

    def zero_(self) -> Tensor:
        """Write zeros."""
        return self.fill_(0)

    def set_(self, source: Any) -> Tensor:
        """Take the memory of ``source``."""
        self.data = source
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment."
            )
        made = run("copy", self.detach())
        if self.requires_grad:
            made.requires_grad_()
        if self.grad is not None:
            made.grad = self.grad.__deepcopy__(memo)
        memo[id(self)] = made
        return made

    def __reduce__(self) -> Any:
        return rebuild, (read(self), str(self.device), self.requires_grad)

    # ---- operators -------------------------------------------------------------------------------------------------------
    def __getitem__(self, key: Any) -> Any:
        return subscript.getitem(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        subscript.setitem(self, key, value)

    def __rsub__(self, other: Any) -> Any:
        return dispatch.call(OPS["sub"], (other, self))

    def __rtruediv__(self, other: Any) -> Any:
        return dispatch.call(OPS["div"], (other, self))

    def __rfloordiv__(self, other: Any) -> Any:
        return dispatch.call(OPS["floor_divide"], (other, self))

    def __rmod__(self, other: Any) -> Any:
        return dispatch.call(OPS["remainder"], (other, self))

    def __rpow__(self, other: Any) -> Any:
        return dispatch.call(OPS["pow"], (other, self))

    def __rlshift__(self, other: Any) -> Any:
        return dispatch.call(OPS["bitwise_left_shift"], (other, self))

    def __rrshift__(self, other: Any) -> Any:
        return dispatch.call(OPS["bitwise_right_shift"], (other, self))

    def __matmul__(self, other: Any) -> Any:
        return linalg.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return linalg.matmul(other, self)

    def __pos__(self) -> Any:
        return self

    @property
    def T(self) -> Any:
        """Axes reversed."""
        return shape.permute(self, *range(self.ndim - 1, -1, -1)) if self.ndim else self

    @property
    def mT(self) -> Any:
        """The last two axes exchanged."""
        return shape.transpose(self, -2, -1)


TensorBase.kind = Tensor
install(Tensor)
