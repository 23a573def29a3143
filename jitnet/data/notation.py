"""Texts with numbers that are not read, such as 12 kg, 18-24 and <0.5, and words that are nearly the same: the
sentences about a column of them."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..canonical import is_code, is_number
from ..checks import count, shown, some
from .dates import DATES, TIMES, Reader, with_four_digits
from .missing import is_missing_word
from .table import as_option, listed
from .values import ENGLISH, NUMBERS, POINTS, form_at_all, is_zero_as_dash, lookalikes, reader_of, units_in

_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)*")
_PER = r"(?:[kMmµμnc]?(?:mol|Wh|W|g|l|m|J)|[€$])/(?:[dk]?[lLgm]|m[²³0]|s|min|h|kWh)"
_UNIT = rf"[^\W\d_]{{2,12}}|[kKMmgshl万亿億만억]|°[CF]?|m[²³0]|(?:Mio|Mrd|Tsd|Stk)\.?(?: ?[€$])?|{_PER}"
"""kg, °C, m², Mio. €, mmol/l, €/m²; but not 3 B/C, 10 w/o and 1 Nord."""
_WITH_UNIT = re.compile(rf"[+-]?0(?: ?({_UNIT})| ([^\W\d_]))")
_PERIOD = "(?:[dhms]|min|sec|(?:year|month|week|day|hour|minute|second)s?)"
_ISO = "P(?=.)(?:[0-9.]+[YMWD])*(?:T(?:[0-9.]+[HMS])+)?"
_DURATION = re.compile(rf"[0-9]+(?::[0-5][0-9]){{1,2}}|(?:[0-9]+ ?{_PERIOD},? ?){{2,}}|{_ISO}")
"""Not 16:9, which is a ratio."""
_NOUNS = (
    "(?:(?:hour|day|week|month|year|minute|second|met(?:er|re)|lit(?:er|re)|gram|euro|dollar|mile|point|piece|degree"
    "|volt|watt)s?|percent|tagen?|wochen?|monaten?|jahren?|stunden?|minuten?|sekunden?|gramm|grad|prozent|stück"
    "|punkte|personen|people|mio|mrd|tsd|stk|std|min|mbit|gbit|mbps|gbps)"
)
_CAN_BE_NAME = re.compile(
    rf"P[0-9]+[YMWD]|[0-9.,]+ ?(?!(?i:{_NOUNS})\.?$)(?:[^\W\d_]{{5,}}|[A-ZÄÖÜ][a-zäöüß]{{2,}}\.?)"
)
"""A name or code that has the form of a quantity, as 12 Oak, 3 building and P5M have."""
_ORDINALS = ("st", "nd", "rd", "th")
_WITHOUT_WORDS = re.compile(r"[^\w]*0(?:[^\w]|0|[_kKMx]|[°'\"] ?[NSEWO]|to|bis|h|m|min|s|sec)*")
"""Numbers with signs between and around them, and the few letters of 5k, 2x3, 1 to 5, 3h 20min, 48°12'N."""
FEW = 3
"""More different units or notations than these belong to addresses or names."""
Place = Callable[[str], str]
"""text -> where it occurs first, such as "line 7"."""
MOST_NAMED = 5
"""How many columns a sentence about several names."""
AS_CATEGORIES, LEFT_OUT = ", so each of its values is a category", ", so it is left out"
"""How a column is learned that is taken for words."""
DAYS = "numbers, write the days since a fixed date"
DATES_OF_TARGET, DURATIONS, WITH_UNIT = "dates", "durations", "numbers with a unit"
_YEAR = "(?:19|20)[0-9]{2}"
_DAY = "|".join((
    rf"[0-9]{{1,2}}[./-][0-9]{{1,2}}[./-]{_YEAR}", rf"{_YEAR}[./-][0-9]{{1,2}}[./-][0-9]{{1,2}}",
    rf"[0-9]{{1,2}}\.? [^\W\d_]{{3,10}}\.? {_YEAR}", rf"[^\W\d_]{{3,10}}\.? [0-9]{{1,2}},? {_YEAR}",
    "[0-9]{1,2}-[A-Za-z]{3,9}-(?:[0-9]{2}){1,2}", f"{_YEAR}-?W[0-9]{{2}}-?[0-9]",
))  # fmt: skip
_CLOCK = r"(?:T|,? (?:[^\W\d_]{1,3},? )?)[0-9]{1,2}(?:[:.hH][0-9]{2}.{0,40}| ?(?:Uhr|[AaPp]\.?[Mm]\.?))"
_LIKE_DATE = re.compile(rf"(?:[^\W\d_]{{2,12}}\.?,? )?(?:{_DAY})(?:{_CLOCK})?")
"""Dates for people: 3. Juli 2023; Mo, 03.07.2023 13:00 Uhr; 07/03/2023 13:00 EST; but not 2023-07-03 Building 3."""
SAMPLE = 1000
"""The texts that decide whether others are tried as dates, which takes long."""


class Unread(NamedTuple):
    """What texts are that are all numbers or dates in a notation that is not read."""

    what: str
    how: str
    """As what they can be learned, if they are written in another way."""
    are_among_numbers: bool
    """True if others of the column are plain numbers."""
    examples: str

    def sentence(self, *names: str) -> str:
        """About a target, or the columns of these names."""
        words = f"{self.what}, such as {self.examples}, which are taken for words; to learn them as {self.how}"
        return f"{listed(list(names), MOST_NAMED)} {'has' if len(names) == 1 else 'have'} {words}"


def unread_notes(found: dict[str, Unread]) -> list[str]:
    """A sentence about all columns that need the same; name -> what the cells are."""
    alike: dict[Unread, list[str]] = {}
    for name, unread in found.items():
        alike.setdefault(unread._replace(examples=""), []).append(name)
    notes = []
    for names in alike.values():
        unread = found[names[0]]
        gaps = f", or take these as missing with {as_option('numeric', *names)}" * unread.are_among_numbers
        notes.append(unread.sentence(*names) + gaps)
    return notes


def how_to_learn(texts: list[str]) -> str:
    """For an error about a target whose texts are such numbers: what to write instead; "" for other texts."""
    how = instead_of(texts, is_target=True)
    return how and f"the values are {how}, or name another target"


def instead_of(texts: list[str], is_target: bool = False) -> str:
    """What such texts are, and what to write instead; "" for other texts."""
    found = unread_in(texts, is_target)
    return f"{found.what}; to learn them as {found.how}" if found else ""


def are_quantities(classes: list[str]) -> bool:
    """True if the classes of a target are dates, durations or numbers with a unit, and cannot be names."""
    found = unread_in(classes, is_target=True)
    if found is None or found.what not in (DATES_OF_TARGET, DURATIONS, WITH_UNIT):
        return False
    return not all(_CAN_BE_NAME.fullmatch(text) or is_missing_word(text) for text in classes)


def unread_in(texts: list[str], is_target: bool = False) -> Unread | None:
    """What the texts of a column or target of words are; None for words and codes."""
    words = [text for text in texts if not is_missing_word(text)]
    if len(words) < 3:
        return None
    forms = {_NUMBER.sub("0", text): text for text in reversed(words)}  # 18-24 is 0-0
    is_plain = forms.pop("0", None) is not None
    if not forms and all(NUMBERS[ENGLISH](text) or NUMBERS[POINTS](text) for text in words):
        # the last sign of 1.234,50 is a comma
        comma, point = (next((text for text in words if re.sub("[0-9]", "", text)[-1:] == sign), None) for sign in ",.")
        if comma and point:
            examples = f"{shown(comma)} and {shown(point)}"
            return Unread("decimal commas and decimal points", "numbers, write one decimal sign", False, examples)
    if not forms and all(map(_is_date, words)):
        forms = {"": words[0]}  # 24.12.2024
    if not forms:
        return None
    example = shown(next(reversed(forms.values())))
    some_words = words[:SAMPLE]
    # the months can have names; 1-2000 is followed by 2001-4000
    are_read = all(map(_is_date, forms.values())) and 2 * sum(map(_is_date, some_words)) > len(some_words)
    if are_read or all(map(_LIKE_DATE.fullmatch, words)):
        odd = next((text for text in words if not _is_date(text)), None)
        example = example if odd is None else shown(odd)
        if is_target:
            return Unread(DATES_OF_TARGET, DAYS, False, example)
        return Unread("dates that are not read", "dates, write all like 2024-12-31 or 2024-12-31 14:30", False, example)
    if len(forms) > FEW:
        return None
    if not is_plain and all(map(_has_unit, forms)):
        return Unread(WITH_UNIT, "numbers, remove the unit from the cells", False, example)
    if all(map(_DURATION.fullmatch, words)):
        return Unread(DURATIONS, "numbers, write them in one unit, such as minutes", False, example)
    if all(map(_WITHOUT_WORDS.fullmatch, forms)):
        what = "numbers in a notation that is not read"
        return Unread(what, "numbers, write one plain number in each cell", is_plain, example)
    return None


def _is_date(text: str) -> bool:
    return any(read(text) for read in DATES.values())


def has_unit(text: str) -> bool:
    """True for one number with a unit, such as 12 kg."""
    return _has_unit(_NUMBER.sub("0", text))


def _has_unit(form: str) -> bool:
    found = _WITH_UNIT.fullmatch(form)
    unit = found and (found[1] or found[2])
    return bool(unit) and str(unit).casefold() not in _ORDINALS


def nearly_equal(name: str, what: str, words: list[str]) -> str | None:
    """The sentence about words, such as classes, that people would read as one."""
    if not (alike := lookalikes(words)):
        return None
    return f"{name} has {what} that are nearly the same: {some(alike, 5, 100)}; if they mean the same, write them alike"


def different_units(name: str, texts: list[str], is_sheet: bool = False) -> str | None:
    """The sentence about numbers with different units, such as $ and €, or % and none.

    is_sheet    whether they are from a workbook, which can show the number 0.076 as 7.6 %
    """
    examples = units_in(texts)
    if "%" not in examples:  # $12 and 12 are prices
        examples.pop("", None)
    if len(examples) < 2:
        return None
    listed = " and ".join(map(shown, list(examples.values())[:3]))
    formatted = " (a cell of a workbook that shows 7.6 % can hold 0.076)" if is_sheet and "" in examples else ""
    return (
        f"{name} has different units, such as {listed}, which are not converted{formatted}; write all numbers in one "
        "unit"
    )


def zeros_as_dashes(name: str, texts: list[str]) -> str | None:
    """The sentence about numbers such as `$ -`."""
    text = next(filter(is_zero_as_dash, texts), None)
    if text is None:
        return None
    return f"{name} has {shown(text)}, which is 0 in accounting formats; if it means a missing cell, empty the cell"


def years_of_two_digits(name: str, texts: list[str], form: str, first_year: int) -> str | None:
    """The sentence about dates whose century is guessed, with the first and the last of them."""
    short = [text for text in texts if with_four_digits(text) != text] if form in DATES else []
    if not short:
        return None
    read = reader_of(form, first_year)
    ends = dict.fromkeys((min(short, key=lambda text: read(text) or ()), max(short, key=lambda text: read(text) or ())))
    years = " and ".join(f"{shown(text)} is read as {with_four_digits(text, first_year)}" for text in ends)
    return f"{name} has years of two digits: {years}; if that is wrong, write years with four digits"


def codes_among_numbers(
    name: str, times: dict[str, int], place: Place, option: str = "", effect: str = ""
) -> str | None:
    """The sentence about plain numbers with a few codes, such as 0150, which are more likely to be numbers too.

    times     how often each text occurs
    option    the option that reads them as numbers; "" for a target
    effect    how the column is learned
    """
    codes = list(filter(is_code, times))
    few = max(2, sum(times.values()) // 20)  # ZIP codes are more
    if not 0 < sum(times[text] for text in codes) <= few or len(times) - len(codes) < 3:
        return None
    if not all(is_number(text) or is_missing_word(text) for text in times):
        return None
    how = f"{option} reads all as numbers" if option else f"if it is a number, write {as_number(codes[0])}"
    return f"{name} is taken for codes because of {_named(codes, place)}{effect}; {how}"


def as_number(code: str) -> str:
    """What to write instead of a code that is a number."""
    return f"{float(code):.15g}"


def taken_for_words(name: str, times: dict[str, int], place: Place, option: str, effect: str) -> str | Unread | None:
    """What a column of words has, or the sentence about it, if most of its cells are numbers or dates.

    times     how often each text occurs
    option    the option that reads them as numbers, and takes the others as missing
    effect    AS_CATEGORIES, or LEFT_OUT
    """
    return (
        codes_among_numbers(name, times, place, option, effect)
        or _few_among(name, times, place, option, effect, "dates", _read(list(times), DATES))
        or unread_in(list(times))
        or _few_among(name, times, place, option, effect, "times of day", _read(list(times), TIMES))
        or _few_among(name, times, place, option, effect, "cells with numbers", _numbers(list(times)))
    )


def _few_among(
    name: str, times: dict[str, int], place: Place, option: str, effect: str, what: str, read: set[str]
) -> str | None:
    """The sentence about words among others, which are `read`, if these are in more than half of the cells."""
    among = sum(times[text] for text in read)
    if len(read) < 3 or 2 * among <= sum(times.values()):
        return None
    words = [text for text in times if text not in read and not is_missing_word(text)]
    if not words:
        return None
    because = f"is taken for words because of {_named(words, place)}{effect}"
    return f"{name} has {among} {what}, but {because}; {option} takes {'it' if len(words) == 1 else 'them'} as missing"


def _read(texts: list[str], forms: Mapping[str, Reader]) -> set[str]:
    """Those of the texts that one of the forms reads, the one that reads the most."""
    form = form_at_all(texts[:SAMPLE], forms)
    return {text for text in texts if forms[form](text) is not None} if form else set()


def _numbers(texts: list[str]) -> set[str]:
    """Those of the texts that are numbers, with any separators; none if some are codes."""
    if any(map(is_code, texts)):
        return set()
    return _read(texts, NUMBERS) | {text for text in texts if _NUMBER.fullmatch(text.lstrip("+-"))}


def _named(texts: list[str], place: Place) -> str:
    """The first text with its place, and how many others there are."""
    return f"{shown(texts[0])} in {place(texts[0])}" + (f" and {count(len(texts) - 1, 'other')}" * (len(texts) > 1))
