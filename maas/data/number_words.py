"""Whole numbers in words, Chinese and English."""

CHINESE_DIGITS = "零一二三四五六七八九"
CHINESE_PLACES = ("", "十", "百", "千")
ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
SIZES = ((10**6, "million"), (1000, "thousand"), (100, "hundred"))
LARGEST_NUMBER = 10**8 - 1


def chinese_number(number: int) -> str:
    """Returns a number from 0 to 99,999,999 in Chinese numerals.

    Example:
        >>> chinese_number(3205), chinese_number(10), chinese_number(1200050)
        ('三千二百零五', '十', '一百二十万零五十')
    """
    _require_range(number)
    if number == 0:
        return CHINESE_DIGITS[0]
    large, small = divmod(number, 10_000)
    found = _chinese_of_four(small)
    if large:
        gap = CHINESE_DIGITS[0] if 0 < small < 1000 else ""
        found = f"{_chinese_of_four(large)}万{gap}{found}"
    return found.removeprefix("一") if found.startswith("一十") else found


def english_number(number: int) -> str:
    """Returns a number from 0 to 99,999,999 in English words.

    Example:
        >>> english_number(3205), english_number(42)
        ('three thousand two hundred and five', 'forty-two')
    """
    _require_range(number)
    if number < 20:
        return ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return f"{TENS[tens]}-{ONES[ones]}" if ones else TENS[tens]
    size, name = next(one for one in SIZES if number >= one[0])
    many, rest = divmod(number, size)
    joint = " and " if 0 < rest < 100 else " " if rest else ""
    return f"{english_number(many)} {name}{joint}{english_number(rest) if rest else ''}"


def _chinese_of_four(number: int) -> str:
    """Returns a number below 10,000 with every place that is not 0, and one 零 for each gap between them."""
    found, is_gap = "", False
    for place in (3, 2, 1, 0):
        digit = number // 10**place % 10
        if digit:
            found += ("零" if is_gap and found else "") + CHINESE_DIGITS[digit] + CHINESE_PLACES[place]
        is_gap = not digit
    return found


def _require_range(number: int) -> None:
    if not 0 <= number <= LARGEST_NUMBER:
        raise ValueError(f"The number is {number}; it must lie in 0 to {LARGEST_NUMBER}.")
