"""Conditions of tasks: the part of the Common Expression Language (cel.dev) that KFP's compiler writes.

    inputs.parameter_values['kind'] == 'image' && int(inputs.parameter_values['rows']) >= 100

Texts, numbers, `true`, `false`, `==`, `!=`, `<`, `<=`, `>`, `>=`, `&&`, `||`, `!`, brackets, int(), double(), string()
and bool(). As in the driver a number of the run is a double, values of different types are never compared, and a task
whose condition does not hold is skipped, with all that needs it. What a condition asks of artifacts is refused.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from graft.models.errors import GraftError

ALLOWED = (
    "parameters of the task's inputs, texts, numbers, true, false, comparisons, &&, ||, !, int(), double(), string(), "
    "bool()"
)

_PIECE = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|&&|\|\||!=|!|.""", re.DOTALL)
_WORDS = {"&&": " and ", "||": " or ", "!": " not "}
_NAMES = {"true": True, "false": False}
_COMPARED: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if _number(value) else str(value)


_CASTS: dict[str, Callable[[Any], Any]] = {
    "int": lambda value: int(value) if isinstance(value, str) else int(float(value)),
    "double": float,
    "string": _text,
    "bool": lambda value: {"true": True, "false": False}[value] if isinstance(value, str) else bool(value),
}


class Condition:
    """One condition.

    Args:
        text: as it stands in `triggerPolicy.condition`.

    Attributes:
        parameters: names of the task's inputs that it reads.

    Raises:
        GraftError: it is none that can be evaluated here.
    """

    def __init__(self, text: str):
        self._text = text
        source = "".join(_WORDS.get(piece, piece) for piece in _PIECE.findall(text))
        try:
            self._tree = ast.parse(source.strip(), mode="eval").body
        except (SyntaxError, ValueError) as error:
            raise self._refused(text) from error
        self.parameters: set[str] = set()
        self._look(self._tree)

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether it holds for the values of the task's parameters, JSON types by name.

        Raises:
            GraftError: it compares values of different types, or is no truth value.
        """
        found = self._value(self._tree, values)
        if not isinstance(found, bool):
            raise GraftError(f"condition {self._text!r}: is {found!r}; allowed: true or false")
        return found

    def _refused(self, what: str) -> GraftError:
        return GraftError(f"condition {self._text!r}: {what!r} cannot be evaluated here; allowed: {ALLOWED}")

    def _look(self, node: ast.expr) -> None:
        """Refuses what `_value` does not know, and notes the parameters."""
        match node:
            case ast.Constant(value=str() | int() | float()):
                return
            case ast.Name(id=name) if name in _NAMES:
                return
            case ast.Subscript(
                value=ast.Attribute(value=ast.Name(id="inputs"), attr="parameter_values"),
                slice=ast.Constant(value=str(name)),
            ):
                self.parameters.add(name)
                return
            case ast.Call(func=ast.Name(id=name), args=[_], keywords=[]) if name in _CASTS:
                inner = node.args
            case ast.BoolOp(values=inner):
                pass
            case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=one):
                inner = [one]
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARED:
                inner = [left, right]
            case _:
                raise self._refused(ast.unparse(node))
        for one in inner:
            self._look(one)

    def _value(self, node: ast.expr, values: Mapping[str, Any]) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return _NAMES[name]
            case ast.Subscript(slice=ast.Constant(value=name)):
                value = values[str(name)]
                return float(value) if _number(value) else value
            case ast.Call(func=ast.Name(id=name), args=[one]):
                value = self._value(one, values)
                try:
                    return _CASTS[name](value)
                except (ValueError, TypeError, KeyError):
                    raise GraftError(f"condition {self._text!r}: {name}({value!r}) is nothing") from None
            case ast.BoolOp(op=op, values=parts):
                join = all if isinstance(op, ast.And) else any
                return join(self._truth(part, values) for part in parts)
            case ast.UnaryOp(op=ast.Not(), operand=one):
                return not self._truth(one, values)
            case ast.UnaryOp(operand=one):
                return -self._value(one, values)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                first, second = self._value(left, values), self._value(right, values)
                if type(first) is not type(second) and not (_number(first) and _number(second)):
                    raise GraftError(f"condition {self._text!r}: compares {first!r} with {second!r}, of another type")
                return _COMPARED[type(op)](first, second)
        raise AssertionError(ast.dump(node))

    def _truth(self, node: ast.expr, values: Mapping[str, Any]) -> bool:
        found = self._value(node, values)
        if not isinstance(found, bool):
            raise GraftError(f"condition {self._text!r}: {ast.unparse(node)} is {found!r}; allowed: true or false")
        return found


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
