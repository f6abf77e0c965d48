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
import difflib
import io
import tokenize
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

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
}
_SPELLINGS = {"&": " and ", "|": " or ", "~": " not "}
_EXAMPLE = 'weather == "rainy" and width_px > 8'
# A difference below this is no misspelling.
_NEAR = 0.6
# Of a text in a message; a longer one is cut.
_SHOWN = 120

Kind = Literal["text", "number", "truth"]


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
        tree = ast.parse(_respelt(text), mode="eval").body
        closed = vocabularies or {}
        reader = _Reader(where=where, columns=columns, vocabularies=closed, words=closed if words is None else words)
        tree = reader.condition(tree)
    except SyntaxError as error:
        raise UsageError(f"{where}: {error.msg}; expected e.g. {_EXAMPLE}") from error
    except (RecursionError, MemoryError, ValueError) as error:
        raise UsageError(f"{where}: not to be read as a filter; expected e.g. {_EXAMPLE}") from error
    used = tuple(dict.fromkeys(node.id for node in _in_order(tree) if isinstance(node, ast.Name)))
    if not used:
        raise UsageError(f'{where}: no column in it; expected e.g. weather == "rainy"')
    return Filter(text=text, columns=used, _tree=tree)


def near_word(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'night'?` where a known word is near, else nothing."""
    near = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=_NEAR)
    return f"; did you mean '{near[0]}'?" if near else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """Checks a tree and replaces its words, so that only columns, constants and operators are left."""

    where: str
    columns: Collection[str] | Mapping[str, Any]
    vocabularies: Mapping[str, Collection[str]]
    words: Mapping[str, Collection[str]]

    def condition(self, node: ast.expr) -> ast.expr:
        """A part that is true or false."""
        match node:
            case ast.BoolOp(op=operator, values=values):
                return ast.BoolOp(op=operator, values=[self.condition(value) for value in values])
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return ast.UnaryOp(op=ast.Not(), operand=self.condition(operand))
            case ast.Compare():
                return self._comparison(node)
            case ast.Name(id=name) if name in self.columns:
                if self._kind(name) not in ("truth", None):
                    raise UsageError(f"{self.where}: '{name}' alone is neither true nor false; compare it with a value")
                return node
            case ast.Name(id=name):
                return _equals(self._column_of(name), name)
            case ast.Constant(value=bool()):
                return node
        raise self._no_filter(node)

    def _comparison(self, node: ast.Compare) -> ast.Compare:
        terms = [node.left, *node.comparators]
        names = [term.id for term in terms if isinstance(term, ast.Name) and term.id in self.columns]
        # Words are read as words of the column that they are compared with.
        column = names[0] if names else None
        terms = [self._term(term, column) for term in terms]
        for left, operator, right in zip(terms[:-1], node.ops, terms[1:], strict=True):
            if type(operator) not in _COMPARE and not isinstance(operator, ast.In | ast.NotIn | ast.Is | ast.IsNot):
                raise self._no_filter(node)
            if isinstance(operator, ast.In | ast.NotIn) and not isinstance(right, ast.List):
                raise UsageError(f'{self.where}: \'in\' expects a list such as ["rainy", "snowy"]')
            if not isinstance(operator, ast.In | ast.NotIn) and isinstance(right, ast.List):
                raise UsageError(f'{self.where}: a list is asked for with \'in\', as in weather in ["rainy", "snowy"]')
            self._check_kinds(left, right)
        return ast.Compare(left=terms[0], ops=node.ops, comparators=terms[1:])

    def _term(self, node: ast.expr, column: str | None) -> ast.expr:
        match node:
            case ast.Name(id=name) if name in self.columns:
                return node
            case ast.Name(id=name) if column is not None and self._kind(column) in ("text", None):
                if column not in self.vocabularies and name not in self.words.get(column, ()):
                    hint = near_word(name, self.columns)
                    raise UsageError(
                        f"{self.where}: no column '{name}'; columns are {', '.join(sorted(self.columns))}{hint} "
                        "(a value stands in quotes)"
                    )
                return self._term(ast.Constant(value=name), column)
            case ast.Name(id=name):
                owners = [owner for owner, words in self.words.items() if name in words]
                if owners:
                    raise UsageError(
                        f"{self.where}: '{name}' alone means {owners[0]} == \"{name}\"; let it stand alone, or compare "
                        f"{owners[0]} with it"
                    )
                raise self._no_column(name)
            case ast.Constant(value=str() as word) if column is not None and column in self.vocabularies:
                known = self.vocabularies[column]
                if word not in known:
                    raise UsageError(
                        f"{self.where}: {column} is never '{word}'{near_word(word, known)} ({', '.join(known)})"
                    )
                return node
            case ast.Constant(value=value) if value is None or isinstance(value, str | int | float | bool):
                return node
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
                return ast.List(elts=[self._term(item, column) for item in items])
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return ast.UnaryOp(op=ast.USub(), operand=self._number(operand))
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _ARITHMETIC:
                return ast.BinOp(left=self._number(left), op=operator, right=self._number(right))
            case ast.BoolOp() | ast.Compare() | ast.UnaryOp(op=ast.Not()):
                return self.condition(node)
        raise self._no_filter(node)

    def _number(self, node: ast.expr) -> ast.expr:
        term = self._term(node, None)
        if isinstance(term, ast.List) or self._kind_of(term) in ("text", "truth"):
            raise UsageError(f"{self.where}: '{ast.unparse(node)}' is no number to calculate with")
        return term

    def _column_of(self, word: str) -> str:
        """The one column that a word belongs to."""
        found = [column for column, words in self.words.items() if word in words]
        if not found:
            raise self._no_column(word)
        if len(found) > 1:
            choices = " or ".join(f'{column} == "{word}"' for column in found)
            raise UsageError(f"{self.where}: '{word}' is a word of {' and '.join(found)}; write {choices}")
        return found[0]

    def _check_kinds(self, left: ast.expr, right: ast.expr) -> None:
        rights = right.elts if isinstance(right, ast.List) else [right]
        kind = self._kind_of(left)
        for other in rights:
            found = self._kind_of(other)
            if kind is not None and found is not None and kind != found:
                raise UsageError(
                    f"{self.where}: '{ast.unparse(left)}' ({_SAID[kind]}) cannot be compared with "
                    f"'{ast.unparse(other)}' ({_SAID[found]})"
                )

    def _kind_of(self, node: ast.expr) -> Kind | None:
        match node:
            case ast.Name(id=name):
                return self._kind(name)
            case ast.Constant(value=bool()) | ast.BoolOp() | ast.Compare() | ast.UnaryOp(op=ast.Not()):
                return "truth"
            case ast.Constant(value=str()):
                return "text"
            case ast.Constant(value=int() | float()) | ast.BinOp() | ast.UnaryOp(op=ast.USub()):
                return "number"
        return None

    def _kind(self, column: str) -> Kind | None:
        """None where nobody said, or of a column of lists."""
        kind = self.columns.get(column) if isinstance(self.columns, Mapping) else None
        if kind is None:
            return None
        if kind == pl.String:
            return "text"
        if kind == pl.Boolean:
            return "truth"
        return "number" if kind.is_numeric() else None

    def _no_column(self, name: str) -> UsageError:
        words = {word for known in self.words.values() for word in known}
        what = "column or word" if words else "column"
        return UsageError(
            f"{self.where}: no {what} '{name}'; columns are {', '.join(sorted(self.columns))}"
            f"{near_word(name, {*self.columns, *words})}"
        )

    def _no_filter(self, node: ast.expr) -> UsageError:
        return UsageError(
            f"{self.where}: '{ast.unparse(node)}' is not part of a filter; use comparisons, and, or, not, in"
        )


_SAID: dict[Kind, str] = {"text": "text", "number": "a number", "truth": "true or false"}


def _respelt(text: str) -> str:
    """The text with `&`, `|` and `~` as words; what stands in quotes stays as it is."""
    line = " ".join(text.split("\n")).strip()
    parts: list[str] = []
    at = 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(line).readline):
            if token.type == tokenize.COMMENT:
                raise SyntaxError("what follows # would be left out")
            if token.type == tokenize.OP and token.string in _SPELLINGS:
                parts += [line[at : token.start[1]], _SPELLINGS[token.string]]
                at = token.end[1]
    except tokenize.TokenError:
        return line  # a bracket or quote is open: the parser says so in its own words
    return "".join([*parts, line[at:]]).strip()


def _equals(column: str, word: str) -> ast.Compare:
    return ast.Compare(left=ast.Name(id=column), ops=[ast.Eq()], comparators=[ast.Constant(value=word)])


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
            return -_convert(operand)
        case ast.BinOp(left=left, op=operator, right=right):
            return _ARITHMETIC[type(operator)](_convert(left), _convert(right))
        case ast.Compare(left=left, ops=operators, comparators=comparators):
            terms = [_convert(term) for term in [left, *comparators]]
            parts = [_compare(*pair) for pair in zip(terms[:-1], operators, terms[1:], strict=True)]
            return parts[0] if len(parts) == 1 else pl.all_horizontal(parts)
    raise TypeError(f"{ast.dump(node)}: let through by the reader")


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
