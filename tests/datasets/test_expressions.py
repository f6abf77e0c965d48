from __future__ import annotations

import polars as pl
import pytest

from tl_datasets.errors import UsageError
from tl_datasets.expressions import parse_expression, parse_filter

TABLE = pl.DataFrame(
    {
        "row": [0, 1, 2, 3],
        "weather": ["rainy", "clear", None, "snowy"],
        "width_px": [640, 1280, 1280, 1920],
        "height_px": [480, 720, 720, 1200],
        "ok": [True, False, True, False],
    }
)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('weather == "rainy"', [0]),
        ('weather != "rainy"', [1, 3]),
        ("weather == None", [2]),
        ("weather is None", [2]),
        ("weather != None", [0, 1, 3]),
        ('weather in ["rainy", "snowy"]', [0, 3]),
        ('weather not in ("rainy", "snowy")', [1]),
        ('weather == "clear" or width_px > 1500', [1, 3]),
        ('weather == "clear" and width_px > 1500', []),
        ('(weather == "clear") | (width_px > 1500)', [1, 3]),
        ("not ok", [1, 3]),
        ("~ok", [1, 3]),
        ("640 < width_px <= 1280", [1, 2]),
        ("width_px / height_px > 1.5", [1, 2, 3]),
        ("width_px - 100 == 540", [0]),
        ("width_px == -640", []),
        ("width_px in [640, 1280.5, 1920]", [0, 3]),
        ("width_px / 2 in [320, 640]", [0, 1, 2]),
        ("weather in ['rainy', None]", [0, 2]),
        ("weather not in ['rainy', None]", [1, 3]),
        ("weather in []", []),
        ("weather not in []", [0, 1, 2, 3]),
        ("None == weather", [2]),
        ("'rainy' == weather", [0]),
    ],
)
def test_filter(text, rows):
    assert TABLE.filter(parse_expression(text, TABLE.columns))["row"].to_list() == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("weathr == 'rainy'", "no column 'weathr'; columns are"),
        ("weather = 'rainy'", "filter 'weather"),
        ("1 == 2", "filter '1 == 2'"),
        ("True", "no column in it"),
        ("weather in 'rainy'", "expects a list"),
        ("__import__('os').system('true')", "not part of a filter"),
        ("weather.str.len_chars() > 2", "not part of a filter"),
        ("[w for w in weather]", "not part of a filter"),
        ("lambda: 1", "not part of a filter"),
        ("width_px ** 99999 > 1", "not part of a filter"),
        ("", "filter ''"),
        ("ok # and width_px > 3", "what follows # would be left out"),
        (" and ".join(["weathr == 'rainy'"] * 30), r"filter 'weathr .*\.\.\.': no column"),
    ],
)
def test_what_is_no_filter_is_refused(text, message):
    with pytest.raises(UsageError, match=message.replace("(", "\\(")):
        parse_expression(text, TABLE.columns)


TYPES = {"weather": pl.String(), "width_px": pl.Int32(), "height_px": pl.Int32(), "ok": pl.Boolean()}
WORDS = {"weather": ("rainy", "clear", "snowy"), "state": ("red", "clear")}


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        # The signs bind as loosely as the words do.
        ("ok & width_px < 1000", [0]),
        ("ok | width_px > 1500 & height_px > 1000", [0, 2, 3]),
        ("~width_px < 1000 & ok", [2]),
        ("rainy", [0]),
        ("rainy | snowy & ~ok", [0, 3]),
        ("weather == rainy or weather in [snowy]", [0, 3]),
        ("weather == 'a & b' or rainy", None),
        ("ok and True", [0, 2]),
        ("(ok == False) & True", [1, 3]),
    ],
)
def test_words_stand_for_their_column(text, rows):
    read = lambda: parse_filter(text, {**TYPES, "state": pl.String()}, WORDS)  # noqa: E731
    if rows is None:
        with pytest.raises(UsageError, match="weather is never 'a & b'"):
            read()
    else:
        assert TABLE.filter(read().expression())["row"].to_list() == rows
        assert TABLE.filter(read().may_be_true())["row"].to_list() == rows, "nothing is unknown"


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("secret", [0, 1, 2, 3]),
        ("not secret", [0, 1, 2, 3]),
        ("secret and ok", [0, 2]),
        ("secret or ok", [0, 1, 2, 3]),
        ("secret and weather == 'rainy'", [0]),
        ("secret and weather != 'rainy'", [1, 3]),
        ("not (secret or ok)", [1, 3]),
        ("not (weather == 'rainy' and secret)", [0, 1, 2, 3]),
        ("not (weather == 'rainy')", [1, 3]),
        ("not (secret and ok)", [0, 1, 2, 3]),
        ("width_px < 1000 and number < 3 and ok", [0]),
        ("number < width_px", [0, 1, 2, 3]),
        ("number == None and not ok", [1, 3]),
    ],
)
def test_what_nobody_knows_may_be_so_and_what_is_missing_is_not(text, rows):
    read = parse_filter(text, {**TYPES, "secret": pl.Boolean(), "number": pl.Float64()})
    chosen = TABLE.with_columns(read.may_be_true(["secret", "number"]).alias("may"))
    assert chosen["may"].null_count() == 0
    assert chosen.filter("may")["row"].to_list() == rows


def test_what_may_be_true_is_what_some_value_makes_true():
    read = parse_filter("(ok or secret) and not (number and weather == 'clear')", [*TABLE.columns, "secret", "number"])
    known = TABLE.filter(pl.col("weather").is_not_null())
    worlds = [
        known.with_columns(pl.lit(secret).alias("secret"), pl.lit(number).alias("number"))
        .filter(read.expression())["row"]
        .to_list()
        for secret in (True, False)
        for number in (True, False)
    ]
    may = known.filter(read.may_be_true(["secret", "number"]))["row"].to_list()
    assert may == sorted({row for world in worlds for row in world}) and may


def test_small_whole_numbers_do_not_overflow():
    lights = pl.DataFrame({"aspects": pl.Series([3, 100, None, -128], dtype=pl.Int8)})
    for text, rows in (("aspects * 50 > 100", [3, 100]), ("aspects + 100 > 150", [100]), ("-aspects > 100", [-128])):
        read = parse_filter(text, {"aspects": pl.Int8()})
        assert lights.filter(read.expression())["aspects"].to_list() == rows, text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rany", "no column or word 'rany'; .* did you mean 'rainy'"),
        ("clear", '\'clear\' is a word of weather and state; write weather == "clear" or state == "clear"'),
        ("weather == 'Rainy'", "weather is never 'Rainy'; did you mean 'rainy'"),
        ("weather", "'weather' alone is neither true nor false"),
        ("width_px == '3'", "cannot be compared"),
        ("width_px in [1, 'a']", "cannot be compared"),
        ("ok > 3", "cannot be compared"),
        ("width_px == [1]", "a list is asked for with 'in'"),
        ("-weather > 1", "is no number"),
        ("width_px < None", "nothing is less or more than None; a missing value is asked for with == None"),
        ("ok or width_px < 3 < None", "nothing is less or more than None"),
        ("width_px == -None", "'None' is no number to calculate with"),
        ("width_px + None > 3", "'None' is no number to calculate with"),
        ("[640] == width_px", "a list is asked for with 'in'"),
        ("[640] in [width_px]", "a list is asked for with 'in'"),
        ("width_px in [[640]]", "not part of a filter"),
        ("1 / 0 < width_px", r"cannot be calculated \(division by zero\)"),
        ("width_px < 1" + "0" * 40, "cannot be calculated .integer too large"),
        ("rainy == True", "'rainy' alone means weather == \"rainy\"; let it stand alone, or compare weather with it"),
    ],
)
def test_what_words_and_types_refuse(text, message):
    with pytest.raises(UsageError, match=message):
        parse_filter(text, {**TYPES, "state": pl.String()}, WORDS)
