"""From the text of a filter to a checked tree: columns, constants and operators, every word looked up.

What a filter is, and what becomes of the tree, is in `expressions`.
"""

from __future__ import annotations

import ast
import difflib
import io
import tokenize
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from tl_datasets.errors import UsageError

COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn, ast.Is, ast.IsNot)
_ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div)
_SPELLINGS = {"&": " and ", "|": " or ", "~": " not "}
# A difference below this is no misspelling.
_NEAR = 0.6

Kind = Literal["text", "number", "truth"]
_SAID: dict[Kind, str] = {"text": "text", "number": "a number", "truth": "true or false"}


def near_word(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'night'?` where a known word is near, else nothing."""
    near = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=_NEAR)
    return f"; did you mean '{near[0]}'?" if near else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressionReader:
    """Checks a tree and replaces its words, so that only columns, constants and operators are left.

    Attributes:
        where: How a message begins.
        columns: The columns; of a mapping to polars types, types are checked as well.
        vocabularies: What a column may hold, for columns that have a vocabulary.
        words: The words of a column that may stand alone.
    """

    where: str
    columns: Collection[str] | Mapping[str, Any]
    vocabularies: Mapping[str, Collection[str]]
    words: Mapping[str, Collection[str]]

    def read(self, text: str) -> ast.expr:
        """The tree of a filter.

        Raises:
            UsageError: A word is unknown, or something is no part of a filter.
            SyntaxError, ValueError, RecursionError, MemoryError: Python cannot read the text.
        """
        return self.condition(ast.parse(_respelt(text), mode="eval").body)

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
            if not isinstance(operator, COMPARISONS):
                raise self._no_filter(node)
            if isinstance(operator, ast.In | ast.NotIn) and not isinstance(right, ast.List):
                raise UsageError(f'{self.where}: \'in\' expects a list such as ["rainy", "snowy"]')
            if isinstance(left, ast.List) or (
                not isinstance(operator, ast.In | ast.NotIn) and isinstance(right, ast.List)
            ):
                raise UsageError(f'{self.where}: a list is asked for with \'in\', as in weather in ["rainy", "snowy"]')
            if isinstance(operator, _ORDER) and any(_is_none(side) for side in (left, right)):
                raise UsageError(
                    f"{self.where}: nothing is less or more than None; a missing value is asked for with == None"
                )
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
                found = [self._term(item, column) for item in items]
                if any(isinstance(item, ast.List) for item in found):
                    raise self._no_filter(node)
                return ast.List(elts=found)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return ast.UnaryOp(op=ast.USub(), operand=self._number(operand))
            case ast.BinOp(left=left, op=operator, right=right) if isinstance(operator, ARITHMETIC):
                return ast.BinOp(left=self._number(left), op=operator, right=self._number(right))
            case ast.BoolOp() | ast.Compare() | ast.UnaryOp(op=ast.Not()):
                return self.condition(node)
        raise self._no_filter(node)

    def _number(self, node: ast.expr) -> ast.expr:
        term = self._term(node, None)
        if isinstance(term, ast.List) or _is_none(term) or self._kind_of(term) in ("text", "truth"):
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


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _equals(column: str, word: str) -> ast.Compare:
    return ast.Compare(left=ast.Name(id=column), ops=[ast.Eq()], comparators=[ast.Constant(value=word)])
