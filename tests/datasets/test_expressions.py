from __future__ import annotations

import polars as pl
import pytest

from tl_datasets.errors import UsageError
from tl_datasets.expressions import parse_expression

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
    ],
)
def test_what_is_no_filter_is_refused(text, message):
    with pytest.raises(UsageError, match=message.replace("(", "\\(")):
        parse_expression(text, TABLE.columns)
