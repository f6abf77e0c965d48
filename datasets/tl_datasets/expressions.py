"""Row filters as text: `weather == "rainy" and height_px > 12` becomes a polars expression.

The text is parsed, never evaluated: names are columns, and only comparisons, `in`, `and`, `or`, `not`, arithmetic and
literals exist. `&`, `|` and `~` are other spellings of `and`, `or` and `not` and bind as loosely as these do, so that
`night & width_px < 12` means what it says. `x == None` asks for rows without a value.

Where columns have vocabularies, a word that belongs to one of them alone stands for the comparison (`night` is
`time_of_day == "night"`), words that are compared with such a column need no quotes, and a word that it cannot hold is
refused with the near one.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from tl_datasets.errors import UsageError
from tl_datasets.expression_reader import ExpressionReader

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
}
_EXAMPLE = 'weather == "rainy" and width_px > 8'
# Of a text in a message; a longer one is cut.
_SHOWN = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A filter that was read and whose words exist.

    Attributes:
        text: As it was written.
        columns: The columns that it asks for, in order of their first use.
    """

    text: str
    columns: tuple[str, ...]
    _tree: ast.expr

    def expression(self) -> pl.Expr:
        """True, false, or null where a missing value leaves it open."""
        return _convert(self._tree)

    def may_be_true(self, unknown: Collection[str] = ()) -> pl.Expr:
        """True where the filter is true for some value of columns that nobody knows; never null.

        A missing value of a column that is known is not true, whatever is asked of it, as for `expression`.

        Args:
            unknown: Columns that could hold anything; the table need not have them.
        """
        return _possible(self._tree, frozenset(unknown))[0]


def parse_expression(text: str, columns: Collection[str]) -> pl.Expr:
    """Turn a filter text into a polars expression; see `parse_filter`."""
    return parse_filter(text, columns).expression()


def parse_filter(
    text: str,
    columns: Collection[str] | Mapping[str, Any],
    vocabularies: Mapping[str, Collection[str]] | None = None,
    *,
    words: Mapping[str, Collection[str]] | None = None,
    what: str = "filter",
) -> Filter:
    """Read a filter.

    Args:
        text: Such as `weather == "rainy" and time_of_day in ["night", "dawn_dusk"]`, or `rainy & ~daytime`.
        columns: The names that may occur; of a mapping to polars types, types are checked as well.
        vocabularies: The words that a column may hold, for columns that have a vocabulary.
        words: The words of a column that may stand alone; None = those of the vocabularies.
        what: What the text is, for messages.

    Raises:
        UsageError: The text does not parse, names a column or word that does not exist, uses a word that several
            columns know, compares what cannot be compared, or uses something else than a filter.
    """
    where = f"{what} '{text if len(text) <= _SHOWN else text[: _SHOWN - 3] + '...'}'"
    try:
        closed = vocabularies or {}
        open_words = closed if words is None else words
        tree = ExpressionReader(where=where, columns=columns, vocabularies=closed, words=open_words).read(text)
    except SyntaxError as error:
        raise UsageError(f"{where}: {error.msg}; expected e.g. {_EXAMPLE}") from error
    except (RecursionError, MemoryError, ValueError) as error:
        raise UsageError(f"{where}: not to be read as a filter; expected e.g. {_EXAMPLE}") from error
    used = tuple(dict.fromkeys(node.id for node in _in_order(tree) if isinstance(node, ast.Name)))
    if not used:
        raise UsageError(f'{where}: no column in it; expected e.g. weather == "rainy"')
    found = Filter(text=text, columns=used, _tree=tree)
    if isinstance(columns, Mapping):
        _try_out(found, columns, where)
    return found


def _try_out(read: Filter, columns: Mapping[str, Any], where: str) -> None:
    """Refuse what can be read and not be calculated, such as 1 / 0, or a number beyond 64 bits."""
    empty = pl.DataFrame(schema={name: columns[name] for name in read.columns})
    try:
        empty.select(read.expression())
    except (ArithmeticError, pl.exceptions.PolarsError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"{where}: cannot be calculated ({reason}); expected e.g. {_EXAMPLE}") from error


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _in_order(child)


def _possible(node: ast.expr, unknown: frozenset[str]) -> tuple[pl.Expr, pl.Expr]:
    """Whether a part may be true, and whether it may be false; a missing value allows neither."""
    match node:
        case ast.BoolOp(op=operator, values=values):
            parts = [_possible(value, unknown) for value in values]
            every, some = (pl.all_horizontal, pl.any_horizontal)
            if isinstance(operator, ast.Or):
                every, some = some, every
            return every([true for true, _ in parts]), some([false for _, false in parts])
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            true, false = _possible(operand, unknown)
            return false, true
    if any(isinstance(part, ast.Name) and part.id in unknown for part in _in_order(node)):
        return pl.lit(True), pl.lit(True)
    if isinstance(node, ast.Constant):
        return pl.lit(bool(node.value)), pl.lit(not node.value)
    known = _convert(node)
    return known.fill_null(False), (~known).fill_null(False)


def _convert(node: ast.expr) -> Any:
    match node:
        case ast.Name(id=name):
            return pl.col(name)
        case ast.Constant(value=value):
            return value
        case ast.List(elts=items):
            return [_convert(item) for item in items]
        case ast.BoolOp(op=operator, values=values):
            parts = [_convert(value) for value in values]
            return pl.all_horizontal(parts) if isinstance(operator, ast.And) else pl.any_horizontal(parts)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = _convert(operand)
            return ~inner if isinstance(inner, pl.Expr) else not inner
        case ast.UnaryOp(operand=operand):
            return -_wide(_convert(operand))
        case ast.BinOp(left=left, op=operator, right=right):
            return _ARITHMETIC[type(operator)](_wide(_convert(left)), _wide(_convert(right)))
        case ast.Compare(left=left, ops=operators, comparators=comparators):
            terms = [_convert(term) for term in [left, *comparators]]
            parts = [_compare(*pair) for pair in zip(terms[:-1], operators, terms[1:], strict=True)]
            return parts[0] if len(parts) == 1 else pl.all_horizontal(parts)
    raise TypeError(f"{ast.dump(node)}: let through by the reader")


def _wide(number: Any) -> Any:
    """A column of small whole numbers as one of large ones: 50 times 3 is not -106, as it is in 8 bits."""
    return number + pl.lit(0, pl.Int64) if isinstance(number, pl.Expr) else number


def _compare(left: Any, operator: ast.cmpop, right: Any) -> pl.Expr:
    if left is None and isinstance(operator, ast.Eq | ast.NotEq | ast.Is | ast.IsNot):
        left, right = right, left
    if not isinstance(left, pl.Expr):
        left = pl.lit(left)
    if isinstance(right, list):
        # One by one: polars' own `is_in` refuses whole numbers in a column of others.
        found = pl.any_horizontal([_compare(left, ast.Eq(), item) for item in right]) if right else pl.lit(False)
        return ~found if isinstance(operator, ast.NotIn) else found
    if right is None and isinstance(operator, ast.Eq | ast.Is):
        return left.is_null()
    if right is None and isinstance(operator, ast.NotEq | ast.IsNot):
        return left.is_not_null()
    operator_type = {ast.Is: ast.Eq, ast.IsNot: ast.NotEq}.get(type(operator), type(operator))
    return _COMPARE[operator_type](left, right)
