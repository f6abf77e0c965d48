"""Row filters as text: `weather == "rainy" and height_px > 12` becomes a polars expression.

The text is parsed, never evaluated: names are columns, and only comparisons, `in`, `and`, `or`, `not` (also `&`, `|`,
`~`), arithmetic and literals exist. `x == None` asks for rows without a value.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection
from typing import Any

import polars as pl

from tl_datasets.errors import UsageError

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], pl.Expr]] = {
    ast.Eq: lambda left, right: left == right,
    ast.NotEq: lambda left, right: left != right,
    ast.Lt: lambda left, right: left < right,
    ast.LtE: lambda left, right: left <= right,
    ast.Gt: lambda left, right: left > right,
    ast.GtE: lambda left, right: left >= right,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], pl.Expr]] = {
    ast.Add: lambda left, right: left + right,
    ast.Sub: lambda left, right: left - right,
    ast.Mult: lambda left, right: left * right,
    ast.Div: lambda left, right: left / right,
    ast.BitAnd: lambda left, right: left & right,
    ast.BitOr: lambda left, right: left | right,
}


def parse_expression(text: str, columns: Collection[str]) -> pl.Expr:
    """Turn a filter text into a polars expression.

    Args:
        text: Such as `weather == "rainy" and time_of_day in ["night", "dawn_dusk"]`.
        columns: The names that may occur.

    Raises:
        UsageError: The text does not parse, names a column that does not exist, or uses something else than a filter.
    """
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError as error:
        raise UsageError(
            f"filter '{text}': {error.msg}; expected e.g. weather == \"rainy\" and width_px > 8"
        ) from error
    result = _convert(tree.body, text, columns)
    if not isinstance(result, pl.Expr):
        raise UsageError(f"filter '{text}': no column in it; expected e.g. weather == \"rainy\"")
    return result


def _convert(node: ast.expr, text: str, columns: Collection[str]) -> Any:
    match node:
        case ast.Name(id=name):
            if name not in columns:
                raise UsageError(f"filter '{text}': no column '{name}'; columns are {', '.join(sorted(columns))}")
            return pl.col(name)
        case ast.Constant(value=value) if value is None or isinstance(value, str | int | float | bool):
            return value
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            return [_convert(item, text, columns) for item in items]
        case ast.BoolOp(op=operator, values=values):
            parts = [_convert(value, text, columns) for value in values]
            return pl.all_horizontal(parts) if isinstance(operator, ast.And) else pl.any_horizontal(parts)
        case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
            return ~_convert(operand, text, columns)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_convert(operand, text, columns)
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _ARITHMETIC:
            return _ARITHMETIC[type(operator)](_convert(left, text, columns), _convert(right, text, columns))
        case ast.Compare(left=left, ops=operators, comparators=comparators):
            terms = [_convert(term, text, columns) for term in [left, *comparators]]
            parts = [_compare(*pair, text) for pair in zip(terms[:-1], operators, terms[1:], strict=True)]
            return parts[0] if len(parts) == 1 else pl.all_horizontal(parts)
    raise UsageError(
        f"filter '{text}': '{ast.unparse(node)}' is not part of a filter; use comparisons, and, or, not, in"
    )


def _compare(left: Any, operator: ast.cmpop, right: Any, text: str) -> pl.Expr:
    if right is None and isinstance(operator, ast.Eq | ast.Is):
        return left.is_null()
    if right is None and isinstance(operator, ast.NotEq | ast.IsNot):
        return left.is_not_null()
    if isinstance(operator, ast.In | ast.NotIn):
        if not isinstance(right, list):
            raise UsageError(f"filter '{text}': 'in' expects a list such as [\"rainy\", \"snowy\"]")
        found = left.is_in(right)
        return ~found if isinstance(operator, ast.NotIn) else found
    if type(operator) not in _COMPARE:
        raise UsageError(f"filter '{text}': operator '{type(operator).__name__}' is not part of a filter")
    return _COMPARE[type(operator)](left, right)
