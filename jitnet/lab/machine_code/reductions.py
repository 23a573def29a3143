"""Variables that an iteration of a loop passes to the next one: reductions, such as sums, and recurrences."""

import ast
import re
from collections import Counter, defaultdict

from ..sanitizer.syntax import assigned_by, is_named, names_in
from .sources import Loop, nest_of


def recurs(file: str, line: int) -> bool:
    """True if an iteration needs a value of the previous one, but not for a sum, a product, a maximum or a minimum:
    `total += x[i]; out[i] = total`, or `x = a*x % m`. Counters are known in advance."""
    found = _reductions(file, line)
    return bool(found) and not any(found)


def reduces(file: str, line: int) -> bool:
    """True if the loop on that line has a sum, a product, a maximum or a minimum that only the code after it reads."""
    return any(_reductions(file, line))


def _reductions(file: str, line: int) -> list[bool]:
    """For each variable that an iteration passes to the next one, except counters: whether it is such a sum."""
    nest = nest_of(file, line)
    if not nest:
        return []
    nodes = list(ast.walk(nest[-1]))
    names = [node for node in nodes if isinstance(node, ast.Name)]
    stored = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    last = {id(n) for one in nodes if isinstance(one, (ast.Return, ast.Raise)) for n in ast.walk(one)}
    reads = Counter(node.id for node in names if isinstance(node.ctx, ast.Load) and id(node) not in last)
    reads.update(n.target.id for n in nodes if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name))
    found = []
    for name, steps in updates(nest[-1]).items():
        values = [value for value, _ in steps]
        own = sum(is_named(node, name) for value in values for node in ast.walk(value))
        if not all(is_always and _counts(name, value, stored) for value, is_always in steps):
            found.append(reads[name] == own and _reduces(name, values))
    return found


def updates(loop: Loop) -> dict[str, list[tuple[ast.expr, bool]]]:
    """The variables whose new values depend on that of the previous iteration: these values (`s + a` of `s += a`), and
    whether every iteration assigns them."""
    begun, found = set[str](), defaultdict[str, list[tuple[ast.expr, bool]]](list)  # begun: anew in each iteration
    for one in loop.body:
        for part in ast.walk(one):
            for target, value in assigned_by(part):
                if isinstance(target, ast.Name) and target.id not in begun:
                    old = ast.Name(target.id, ast.Load())
                    new = ast.BinOp(old, part.op, value) if isinstance(part, ast.AugAssign) else value
                    if target.id in names_in(new):
                        found[target.id].append((new, part is one))
        if isinstance(one, ast.Assign):
            begun |= {target.id for target in one.targets if isinstance(target, ast.Name) and target.id not in found}
    return found


def _counts(name: str, value: ast.expr, stored: set[str]) -> bool:
    """`i + 1`, or `i + n` where the loop does not change n."""
    if not isinstance(value, ast.BinOp) or not isinstance(value.op, (ast.Add, ast.Sub)):
        return False
    step = value.right
    return is_named(value.left, name) and isinstance(step, (ast.Constant, ast.Name)) and not names_in(step) & stored


_REDUCTIONS = {"Add", "Mult", "BitAnd", "BitOr", "BitXor", "max", "min", "choice"}
_SAME = {"Sub": "Add", "maximum": "max", "fmax": "max", "minimum": "min", "fmin": "min"}
_CONVERTS = re.compile(r"(u?int|float)\d*$|type$")


def _reduces(name: str, values: list[ast.expr]) -> bool:
    """True if one operation makes all the new values of x from its old one: `x + a - b`, `max(x, a)`, `a if a > x else
    x`, where a and b do not depend on x."""
    kinds, parts = set[str](), list(values)
    while parts:
        part = parts.pop()
        operands, kind = [part], ""
        if isinstance(part, ast.BinOp):
            operands, kind = [part.left, part.right], type(part.op).__name__
        elif isinstance(part, ast.Call):
            operands, kind = part.args, ast.unparse(part.func).rpartition(".")[2]
        elif isinstance(part, ast.IfExp):
            operands, kind = [part.body, part.orelse], "choice" if name in names_in(part.test) else ""
        elif not is_named(part, name):
            return False
        if kind == "Sub" and name in names_in(operands[1]):  # a − x is no sum
            return False
        used = [operand for operand in operands if name in names_in(operand) and operand is not part]
        if len(used) > 1 and not isinstance(part, ast.IfExp):
            return False
        kinds |= {_SAME.get(kind, kind)} if kind and not _CONVERTS.match(kind) else set()
        parts += used
    return len(kinds) <= 1 and kinds <= _REDUCTIONS
