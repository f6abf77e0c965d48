"""Reading the usual form of a predictions list in one pass over its bytes.

The usual form is a list of objects with the numbers image_id, category_id, bbox and score, in any order, and perhaps
an id. Numbers become the nearest double. Those of at most 15 digits do so by one division, since their digits and the
power of ten are doubles themselves; longer ones, up to 19 digits as a program writes them, by the product of their
digits with 128 bits of the power of five (Lemire, Number Parsing at a Gigabyte per Second, Software: Practice and
Experience 51, 2021; that its product always suffices is shown by Mushtak and Lemire, Fast Number Parsing Without
Fallback, 2023). Whatever else a file holds makes the scan give up, and is read by a parser that knows all of JSON.
"""

from __future__ import annotations

import numpy as np

from tl_detection.evaluation.compiled import compiled

_POWERS_OF_TEN = 10.0 ** np.arange(23)
_LARGEST_DOUBLE = np.uint64(1 << 53)
# One digit more does not overflow.
_LARGEST_DIGITS = np.uint64((1 << 64) // 10 - 1)
# Lower powers are rounded down in the published table, and do not occur.
_LOWEST_POWER, _HIGHEST_POWER = -27, 40
_POWERS_OF_TWO = 2.0 ** np.arange(-400, 401)


def _power_of_five(power: int) -> int:
    """The 128 leading bits of 5 ** power; of a fraction rounded up, as ties need it."""
    five = 5 ** abs(power)
    if power < 0:
        return (1 << five.bit_length() + 127) // five + 1
    return five << 128 - five.bit_length()


_FIVES = np.array(
    [divmod(_power_of_five(power), 1 << 64) for power in range(_LOWEST_POWER, _HIGHEST_POWER + 1)], np.uint64
)
_SHORTEST = b'{"image_id":0,"category_id":0,"bbox":[0,0,0,0],"score":0}'
_KEYS = tuple(np.frombuffer(key, np.uint8) for key in (b"image_id", b"category_id", b"bbox", b"score", b"id"))


@compiled
def _past_space(text, at):
    while at < len(text) and (text[at] == 32 or text[at] == 10 or text[at] == 13 or text[at] == 9):
        at += 1
    return at


@compiled
def _multiply(a, b):
    """The upper and the lower 64 bits of a product."""
    half, low = np.uint64(32), np.uint64(0xFFFFFFFF)
    middle, other = (a >> half) * (b & low), (a & low) * (b >> half)
    lowest = (a & low) * (b & low)
    carry = (lowest >> half) + (middle & low) + (other & low)
    upper = (a >> half) * (b >> half) + (middle >> half) + (other >> half) + (carry >> half)
    return upper, (carry << half) | (lowest & low)


@compiled
def _nearest_double(digits, power):
    """The double nearest to digits * 10 ** power, ties to even; digits is not 0."""
    one = np.uint64(1)
    shift = 0
    while digits >> np.uint64(63) == 0:
        digits <<= one
        shift += 1
    five = _FIVES[power - _LOWEST_POWER]
    upper, lower = _multiply(digits, five[0])
    if upper & np.uint64(0x1FF) == 0x1FF:
        more = _multiply(digits, five[1])[0]
        lower += more
        if more > lower:
            upper += one
    top = upper >> np.uint64(63)
    dropped = top + np.uint64(9)
    mantissa = upper >> dropped
    exponent = ((217706 * power) >> 16) + 64 + np.int64(top) - shift - 53
    if lower <= one and -4 <= power <= 23 and mantissa & np.uint64(3) == one and mantissa << dropped == upper:
        mantissa &= ~one
    mantissa = (mantissa + (mantissa & one)) >> one
    return np.float64(mantissa) * _POWERS_OF_TWO[exponent + 400]


@compiled
def _number(text, at):
    """(value, is whole, where it ends); it ends at -1 if it is none, or not one that is read exactly."""
    negative = at < len(text) and text[at] == 45
    if negative:
        at += 1
    begin, digits, power = at, np.uint64(0), 0
    while at < len(text) and 48 <= text[at] <= 57:
        if digits > _LARGEST_DIGITS:
            return 0.0, False, -1
        digits = digits * np.uint64(10) + np.uint64(text[at] - 48)
        at += 1
    # JSON knows no number without a digit before the point, and none with a zero in front.
    if at == begin or (text[begin] == 48 and at - begin > 1):
        return 0.0, False, -1
    is_whole = True
    if at < len(text) and text[at] == 46:
        is_whole = False
        at += 1
        begin = at
        while at < len(text) and 48 <= text[at] <= 57:
            if digits > _LARGEST_DIGITS:
                return 0.0, False, -1
            digits = digits * np.uint64(10) + np.uint64(text[at] - 48)
            power -= 1
            at += 1
        if at == begin:
            return 0.0, False, -1
    if at < len(text) and (text[at] == 101 or text[at] == 69):
        is_whole = False
        at += 1
        sign = 1
        if at < len(text) and (text[at] == 43 or text[at] == 45):
            sign = 44 - np.int64(text[at])
            at += 1
        begin, exponent = at, 0
        while at < len(text) and 48 <= text[at] <= 57 and exponent < 1000:
            exponent = exponent * 10 + np.int64(text[at] - 48)
            at += 1
        if at == begin:
            return 0.0, False, -1
        power += sign * exponent
    if digits <= _LARGEST_DOUBLE and abs(power) <= 22:
        value = np.float64(digits)
        value = value / _POWERS_OF_TEN[-power] if power < 0 else value * _POWERS_OF_TEN[power]
    elif is_whole or not _LOWEST_POWER <= power <= _HIGHEST_POWER:
        return 0.0, False, -1
    else:
        value = _nearest_double(digits, power) if digits else 0.0
    return (-value if negative else value), is_whole, at


@compiled
def _is_key(text, at, length, key):
    if length != len(key):
        return False
    same = 0
    for i in range(length):
        same += text[at + i] == key[i]
    return same == length


@compiled
def scan_predictions(text, most, image_key, category_key, box_key, score_key, id_key):
    """Read a whole list.

    Args:
        text: (bytes,) of the list, from its bracket on.
        most: Objects that it holds at most.
        image_key: The name of a field, as are the following.
        category_key: See there.
        box_key: See there.
        score_key: See there.
        id_key: See there.

    Returns:
        How many were read, or -1 if it is not of the usual form; (most,) image ids, category ids, (most, 4) boxes,
        (most,) scores and ids, and how many have an id.
    """
    image, category, own_id = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    box, score = np.empty((most, 4)), np.empty(most)
    failed = (-1, image, category, box, score, own_id, 0)
    n = n_ids = 0
    at = _past_space(text, 0)
    if at >= len(text) or text[at] != 91:
        return failed
    at = _past_space(text, at + 1)
    if at < len(text) and text[at] == 93:
        at = _past_space(text, at + 1)
        return (0 if at == len(text) else -1), image, category, box, score, own_id, 0
    while True:
        if at >= len(text) or text[at] != 123 or n >= most:
            return failed
        at = _past_space(text, at + 1)
        seen = 0
        while True:
            if at >= len(text) or text[at] != 34:
                return failed
            at += 1
            begin = at
            while at < len(text) and text[at] != 34 and text[at] != 92:
                at += 1
            if at >= len(text) or text[at] != 34:
                return failed
            length = at - begin
            at = _past_space(text, at + 1)
            if at >= len(text) or text[at] != 58:
                return failed
            at = _past_space(text, at + 1)
            if _is_key(text, begin, length, box_key):
                field = 2
                if at >= len(text) or text[at] != 91:
                    return failed
                for side in range(4):
                    at = _past_space(text, at + 1)
                    box[n, side], _, at = _number(text, at)
                    if at < 0:
                        return failed
                    at = _past_space(text, at)
                    if at >= len(text) or text[at] != (93 if side == 3 else 44):
                        return failed
                at += 1
            else:
                value, is_whole, at = _number(text, at)
                if at < 0:
                    return failed
                if _is_key(text, begin, length, score_key):
                    field = 3
                    score[n] = value
                elif not is_whole:
                    return failed
                elif _is_key(text, begin, length, image_key):
                    field = 0
                    image[n] = np.int64(value)
                elif _is_key(text, begin, length, category_key):
                    field = 1
                    category[n] = np.int64(value)
                elif seen & 16 == 0 and _is_key(text, begin, length, id_key):
                    field = 4
                    own_id[n_ids] = np.int64(value)
                    n_ids += 1
                else:
                    return failed
            if seen & (1 << field):
                return failed
            seen |= 1 << field
            at = _past_space(text, at)
            if at >= len(text):
                return failed
            if text[at] == 125:
                break
            if text[at] != 44:
                return failed
            at = _past_space(text, at + 1)
        if seen & 15 != 15:
            return failed
        n += 1
        at = _past_space(text, at + 1)
        if at >= len(text):
            return failed
        if text[at] == 93:
            break
        if text[at] != 44:
            return failed
        at = _past_space(text, at + 1)
    if _past_space(text, at + 1) != len(text):
        return failed
    return n, image, category, box, score, own_id, n_ids


def scan(text: memoryview):
    """`scan_predictions` of bytes; None if they are not of the usual form."""
    # Pages that are never written take no memory; to count the braces would take as long as the scan.
    most = len(text) // len(_SHORTEST) + 1
    n, image, category, box, score, own_id, n_ids = scan_predictions(np.frombuffer(text, np.uint8), most, *_KEYS)
    return None if n < 0 else (image[:n], category[:n], box[:n], score[:n], own_id[:n_ids])
