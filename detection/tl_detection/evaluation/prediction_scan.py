"""Reading the usual form of a predictions list in one pass over its bytes.

The usual form is a list of objects with the numbers image_id, category_id, bbox and score, in any order, and perhaps
an id. A number of at most 15 digits is read exactly: its digits and the power of ten are both numbers of double
precision, so that one division rounds once. Whatever else a file holds makes the scan give up, and is read by a parser
that knows all of JSON.
"""

from __future__ import annotations

import numpy as np

from tl_detection.evaluation.compiled import compiled

_POWERS_OF_TEN = 10.0 ** np.arange(23)
_LARGEST_DIGITS = 1 << 53
_KEYS = tuple(np.frombuffer(key, np.uint8) for key in (b"image_id", b"category_id", b"bbox", b"score", b"id"))


@compiled
def _past_space(text, at):
    while at < len(text) and (text[at] == 32 or text[at] == 10 or text[at] == 13 or text[at] == 9):
        at += 1
    return at


@compiled
def _number(text, at):
    """(value, is whole, where it ends); it ends at -1 if it is none, or not one that is read exactly."""
    negative = at < len(text) and text[at] == 45
    if negative:
        at += 1
    begin, digits, power = at, np.int64(0), 0
    while at < len(text) and 48 <= text[at] <= 57:
        digits = digits * 10 + np.int64(text[at] - 48)
        if digits > _LARGEST_DIGITS:
            return 0.0, False, -1
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
            digits = digits * 10 + np.int64(text[at] - 48)
            if digits > _LARGEST_DIGITS:
                return 0.0, False, -1
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
    if abs(power) > 22:
        return 0.0, False, -1
    value = digits / _POWERS_OF_TEN[-power] if power < 0 else digits * _POWERS_OF_TEN[power]
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
                elif _is_key(text, begin, length, id_key):
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
    data = np.frombuffer(text, np.uint8)
    n, image, category, box, score, own_id, n_ids = scan_predictions(data, int(np.count_nonzero(data == 123)), *_KEYS)
    return None if n < 0 else (image[:n], category[:n], box[:n], score[:n], own_id[:n_ids])
