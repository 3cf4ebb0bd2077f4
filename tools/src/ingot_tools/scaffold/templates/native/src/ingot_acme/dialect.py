"""The language of the vector unit: how a kernel of Ingot's IR is written in it. This is what makes the device native."""

from ingot_devices.codegen import arguments
from ingot_devices.ir.program import Array, Assign, For, If, Let, Put

ROWS = {
    "add": "({0} + {1})",
    "sub": "({0} - {1})",
    "mul": "({0} * {1})",
    "div": "({0} / {1})",
    "idiv": "({0} // {1})",
    "mod": "({0} % {1})",
    "neg": "(-{0})",
    "eq": "({0} == {1})",
    "lt": "({0} < {1})",
    "and": "({0} & {1})",
    "or": "({0} | {1})",
    "xor": "({0} ^ {1})",
    "not": "(~{0})",
    "shl": "({0} << {1})",
    "shr": "({0} >> {1})",
    "where": "np.where({0}, {1}, {2})",
    "maximum": "np.maximum({0}, {1})",
    "minimum": "np.minimum({0}, {1})",
    "cast": "({0}).astype({type})",
    "bitcast": "({0}).view({type})",
    "floor": "np.floor({0})",
    "sqrt": "np.sqrt({0})",
    "exp": "exp({0})",
    "log": "log({0})",
    "sin": "sin({0})",
    "cos": "cos({0})",
    "mulhi": "mulhi({0}, {1})",
    "var": "{value}",
    "const": "{type}({value!r})",
}
SPECIALS = {"gid": "lane", "group": "lane", "groups": "len(lane)", "lid": "0", "size": "1"}


def kind(dtype):
    """The vector unit's name of a type. An index is 64 bits wide."""
    return "np.int64" if dtype.kind == "n" else f"np.{dtype.numpy.name}"


class Renderer:
    """Turns a program of the IR into the source that `driver.Board.compile` takes."""

    rows = frozenset(ROWS)

    def __call__(self, program):
        self.private = set()
        layout = arguments.block(program.scalars, program.index_bits).format
        lines = ["m = lane >= 0", f"numbers = struct.unpack({layout!r}, scalars)"]
        for k, s in enumerate(program.scalars):
            lines += [f"{s.name} = {kind(s.dtype)}(numbers[{k}])"]
        for b in program.buffers:
            lines += [f"{b.name} = memory[{b.binding}].view({kind(b.dtype)})"]
        lines += self.block(program.body, "", "m")
        head = f"def {program.name}(memory, scalars, lane):"
        return "\n    ".join([head, *lines])

    def block(self, body, indent, mask):
        """The lines of some statements for the work-items of ``mask``."""
        return [indent + line for s in body for line in self.statement(s, mask)]

    def statement(self, s, mask):
        """The lines of one statement. What is private to a work-item is an array with a row for each element."""
        inner = mask + "m"
        match s:
            case Let():
                return [f"{s.name} = {self.expr(s.value, mask)}"]
            case Assign():
                return [f"{s.name} = np.where({mask}, {self.expr(s.value, mask)}, {s.name})"]
            case Array():
                self.private.add(s.name)
                return [f"{s.name} = np.full(({s.size}, len(lane)), {self.expr(s.fill, mask)})"]
            case Put():
                offset, value = self.expr(s.offset, mask), self.expr(s.value, mask)
                if s.memory in self.private:
                    at = f"{s.memory}[{offset}, lane]"
                    return [f"{at} = np.where({mask}, {value}, {at})"]
                return [f"store({s.memory}, {offset}, {value}, {mask})"]
            case If():
                lines = [f"{inner} = {mask} & {self.expr(s.condition, mask)}"]
                lines += self.block(s.body, "", inner)
                if s.orelse:
                    lines.append(f"{inner} = {mask} & ~{self.expr(s.condition, mask)}")
                    lines += self.block(s.orelse, "", inner)
                return lines
            case For():
                head = f"{inner} = {mask} & ({s.var} < {self.expr(s.stop, mask)})"
                lines = [f"{s.var} = {self.expr(s.start, mask)}", head, f"while {inner}.any():"]
                lines += self.block(s.body, "    ", inner)
                return [*lines, f"    {s.var} = {s.var} + {self.expr(s.step, mask)}", f"    {head}"]
        raise NotImplementedError(f"the vector unit has no {type(s).__name__}")

    def expr(self, e, mask):
        """An expression."""
        args = [self.expr(a, mask) for a in e.args]
        if e.op == "special":
            return SPECIALS[e.value[0]]
        if e.op == "get":
            inside = f"{e.value}[{args[0]}, lane]"
            return inside if e.value in self.private else f"load({e.value}, {args[0]}, {mask})"
        return ROWS[e.op].format(*args, type=kind(e.dtype), value=e.value)
