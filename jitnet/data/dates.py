"""Dates and times in cells: their notations, and the numbers they become."""

import contextlib
import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone

Parts = tuple[float, ...]
Reader = Callable[[str], "Parts | None"]
"""The numbers that a cell stands for, or None if it cannot be read."""


_CLOCK = re.compile(
    r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9](?:\.[0-9]{1,9})?))?(?: ?([AaPp])(?:[Mm]|\.[Mm]\.))?"
)


def _time_of_day(cell: str) -> Parts | None:
    found = _CLOCK.fullmatch(cell)
    if found is None or (found[4] and not 1 <= int(found[1]) <= 12):
        return None
    hour = int(found[1]) % 12 + 12 * (found[4] in "Pp") if found[4] else int(found[1])
    return (hour + int(found[2]) / 60 + float(found[3] or 0) / 3600,)


def time_of_day(hours: float) -> str:
    """8.5 as 08:30."""
    minutes = round(60 * hours)
    return f"{minutes // 60:02}:{minutes % 60:02}"


# Dates: days since 1970, month, day of the week from Monday = 0, and hour of the day with its fraction.

DATE_PARTS = ("days", "month", "weekday", "hour")
EPOCH = datetime(1970, 1, 1)


def date_parts(date: datetime) -> Parts:
    """The day in UTC; month, weekday and hour where the date was written."""
    instant = date if date.tzinfo is None else date.astimezone(timezone.utc).replace(tzinfo=None)
    days, hour = (instant - EPOCH) / timedelta(days=1), timedelta(hours=1)
    since_midnight = timedelta(hours=date.hour, minutes=date.minute, seconds=date.second, microseconds=date.microsecond)
    return days, float(date.month), float(date.weekday()), since_midnight / hour


def iso_date(days: float) -> str:
    """The date after this many days since 1970; as a float64, the last moments of the year 9999 are the end of it."""
    date = EPOCH + min(timedelta(days=days), datetime.max - EPOCH)
    return str(date).removesuffix(" 00:00:00")


_ISO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}:[0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?"
    r"(?: ?(?:Z|UTC|GMT)| ?([+-][0-9]{2})(?::?([0-9]{2}))?)?(?:\[[\w/]+\])?)?"
)
_QUARTER = re.compile("(?P<year>(?:19|20)[0-9]{2})[ -]?Q(?P<quarter>[1-4])")
_YEAR_LAST = re.compile("Q(?P<quarter>[1-4])[ /-](?P<year>(?:19|20)[0-9]{2})")
_WEEK = re.compile("((?:19|20)[0-9]{2})[ -]?W([0-9]{2})")
_MONTH = re.compile("(?:19|20)[0-9]{2}-(?:0[1-9]|1[0-2])")
_EAST_ASIAN = re.compile("([0-9]{4}) ?[年년] ?([0-9]{1,2}) ?[月월] ?([0-9]{1,2}) ?[日일]")


def iso(cell: str) -> Parts | None:
    """Dates, with time and zone, in the notation of ISO 8601, databases, logs and Java; a month is its first day."""
    found = _ISO.fullmatch(f"{cell}-01" if _MONTH.fullmatch(cell) else cell)
    if found is None:
        return None
    day, clock, seconds, fraction, hours, minutes = found.groups()
    text = f"{day} {clock or '00:00'}:{seconds or '00'}.{(fraction or '')[:6]:0<6}"  # Python 3.10 reads six digits
    try:
        return date_parts(datetime.fromisoformat(f"{text}{hours}:{minutes or '00'}" if hours else text))
    except (ValueError, OverflowError):
        return None


def _east_asian(cell: str) -> Parts | None:
    found = _EAST_ASIAN.fullmatch(cell)
    try:
        return date_parts(datetime(int(found[1]), int(found[2]), int(found[3]))) if found else None
    except ValueError:
        return None


def _quarter(cell: str) -> Parts | None:
    found = _QUARTER.fullmatch(cell) or _YEAR_LAST.fullmatch(cell)
    return date_parts(datetime(int(found["year"]), 3 * int(found["quarter"]) - 2, 1)) if found else None


def _week(cell: str) -> Parts | None:
    """The Monday of a week of ISO 8601: `2024-W06`, or `2024 W06` as R writes it."""
    found = _WEEK.fullmatch(cell)
    try:
        return date_parts(datetime.fromisocalendar(int(found[1]), int(found[2]), 1)) if found else None
    except ValueError:
        return None


_WEEKDAY = re.compile("(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs?)?|Fri|Sat(?:ur)?|Sun)(?:day)?,? +")


def _mail(cell: str) -> Parts | None:
    """As in e-mails, `Fri, 05 Jan 2024 10:00:00 +0100`, and as C writes it, `Fri Jan  5 10:00:00 2024`."""
    if len(cell) > 40 or not _WEEKDAY.match(cell) or re.search(r"[0-9 ][AaPp][Mm]\b", cell):  # PM would be ignored
        return None
    from email.utils import parsedate_to_datetime  # rarely needed

    try:
        return date_parts(parsedate_to_datetime(cell))
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


FIRST_YEAR = 1969
"""The first of the hundred years that years of two digits mean where nothing is known about the others, as in C."""
_LATEST = 2039
"""The last year that a column with years of two digits is taken to reach."""
_TWO_DIGITS = re.compile(r"([0-9]{1,2}(?:([./])[0-9]{1,2}\2|-[A-Za-z]+-)|[A-Za-z]{3,9}-)([0-9]{2})(?=,? |\Z)")


def with_four_digits(cell: str, first_year: int = FIRST_YEAR) -> str:
    """A date whose year has two digits with the year from `first_year` to 99 years later; other texts as they are."""
    found = _TWO_DIGITS.match(cell)
    if found is None:
        return cell
    return f"{found[1]}{first_year + (int(found[3]) - first_year) % 100}{cell[found.end() :]}"


def first_year_of(texts: Iterable[str]) -> int:
    """The first of the hundred years that the years of two digits in a column mean.

    The dates of the column span as few years as possible, and end in 2039 at the latest. So they keep their order,
    whatever their century. The hundred years begin in the middle of the gap, for dates before and after these.
    """
    years = sorted({int(found[3]) for text in texts if (found := _TWO_DIGITS.match(text))})
    if not years:
        return FIRST_YEAR
    choices = []
    for year, after in zip(years, [*years[1:], years[0] + 100], strict=True):
        gap, last = after - year, _LATEST - (_LATEST - year) % 100
        first = last + gap - 100
        if first > 1900:  # 50 to 99 and 00 to 49 hardly mean 1850 to 1949
            choices.append((gap, last, first))
    gap, _, first = max(choices)  # there is one: years from 1940 to 2039 are always possible
    return max(1901, first - gap // 2)  # 1900 was no leap year, and 29.02.00 is a date


_NAMES = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_MONTHS = {text: i for i, name in enumerate(_NAMES, 1) for text in (name, name[:3])} | {"sept": 9}
_SHAPES = {
    "d": "(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?", "m": "(?P<month>[0-9]{1,2})", "b": r"(?P<month>[A-Za-z]+)\.?",
    "Y": "(?P<year>[0-9]{4})", " ": " +", ".": r"\.",
}  # fmt: skip
_TIME = (
    r"(?:,? +(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{1,2})(?::(?P<second>[0-9]{1,2})(?P<fraction>[.,][0-9]{1,9})?)?"
    r"(?: ?(?P<half>[AaPp])(?:[Mm]|\.[Mm]\.))?(?: (?:UTC|GMT))?)?"
)
"""The shapes of the parts of a pattern, and of a time behind it."""


def _dated(*patterns: str) -> Reader:
    """Dates such as `d.m.Y`, with the day, the month (b: its name), the year, and perhaps a time behind them.

    Python's strptime could read them too, but it takes several times as long.
    """
    shapes = [re.compile("".join(_SHAPES.get(part, part) for part in pattern) + _TIME) for pattern in patterns]

    def read(cell: str) -> Parts | None:
        cell = with_four_digits(cell.replace("\N{NARROW NO-BREAK SPACE}", " "))  # which browsers write before PM
        for shape in shapes:
            if (found := shape.fullmatch(cell)) is None:
                continue
            month, half, hour = found["month"], found["half"], int(found["hour"] or 0)
            if half:
                hour = hour % 12 + 12 * (half in "Pp") if 1 <= hour <= 12 else -1
            number = int(month) if month.isdigit() else _MONTHS.get(month.casefold(), 0)
            microseconds = int(f"{(found['fraction'] or '.')[1:7]:0<6}")
            time = hour, int(found["minute"] or 0), int(found["second"] or 0), microseconds
            with contextlib.suppress(ValueError):
                return date_parts(datetime(int(found["year"]), number, int(found["day"]), *time))
        return None

    return read


def _log(cell: str) -> Parts | None:
    """As in the logs of web servers."""
    if not re.fullmatch("[0-9]+/[A-Za-z]+/[0-9]+:[0-9:]+ [+-][0-9]+", cell):
        return None
    try:
        return date_parts(datetime.strptime(cell, "%d/%b/%Y:%H:%M:%S %z"))
    except (ValueError, OverflowError):
        return None


COMPACT, MONTH, PLAIN_MONTH = "yearmonthday", "month year", "month.year"
_COMPACT = {6: "%Y%m", 8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
"""The number of digits -> the pattern of a date from 1900 to 2099 without separators."""


def _compact(cell: str) -> Parts | None:
    text = re.sub("^([0-9]{8})T([0-9]{4,6})Z?$", r"\1\2", cell)
    if len(text) not in _COMPACT or text[:2] not in ("19", "20") or not (text.isascii() and text.isdigit()):
        return None
    try:
        return date_parts(datetime.strptime(text, _COMPACT[len(text)]))
    except ValueError:
        return None


_PLAIN_MONTH = re.compile(r"(0?[1-9]|1[0-2])\.(?:19|20)[0-9]{2}")


def with_zeros(cell: str) -> str:
    """The month 10.2020, which is 10.202 as a number; texts without a point as they are."""
    month, point, year = cell.partition(".")
    return f"{month}.{year:0<4}" if point else cell


def can_be_dates(texts: Iterable[str]) -> bool:
    """True if plain numbers can be dates, which `plain_dates` decides from all of them."""
    return all(_compact(text) or _PLAIN_MONTH.fullmatch(with_zeros(text)) for text in texts)


def plain_dates(texts: list[str]) -> str | None:
    """The form of dates that are plain numbers, such as 20240105 and 3.2024; fewer than five could be others.

    Numbers like 3.2024 are months only if most have four decimals, and more than two whole parts occur: prices can be
    from 1.1987 to 1.2031.
    """
    if len(texts) >= 5 and all(map(_compact, texts)):
        return COMPACT
    if len(texts) < 5 or not all(_PLAIN_MONTH.fullmatch(with_zeros(text)) for text in texts):
        return None
    are_long = 2 * sum(text == with_zeros(text) for text in texts) > len(texts)
    return PLAIN_MONTH if are_long and len({int(text.partition(".")[0]) for text in texts}) > 2 else None


def _after_weekday(read: Reader) -> Reader:
    """Also behind the day of the week, as in the long dates of Windows and Excel: `Monday, January 1, 2024`."""
    return lambda cell: read(cell[found.end() :] if (found := _WEEKDAY.match(cell)) else cell)


_MONTH_YEAR = re.compile("(?:([A-Za-z]{3,9})[ -]|([0-9]{1,2})[./-])((?:19|20)[0-9]{2})")
_YEAR_MONTH = re.compile("((?:19|20)[0-9]{2})[ -]([A-Za-z]{3,9})")


def _month_year(cell: str) -> Parts | None:
    """The first day of a month: `Jan 2024`, `2024 Jan`, `Jan-24` as Excel shows it, `01/2024`."""
    found = _MONTH_YEAR.fullmatch(with_four_digits(_YEAR_MONTH.sub(r"\2 \1", cell)))
    if found is None:
        return None
    name, number, year = found.groups()
    month = _MONTHS.get(name.casefold(), 0) if name else int(number)
    return date_parts(datetime(int(year), month, 1)) if 1 <= month <= 12 else None


def can_be_days(texts: Iterable[str]) -> bool:
    """True for texts such as Jan-02 and Mar-31, unless all are from 10 to 29, as recent years are, or one is no day."""
    numbers = {int(found[3]) for text in texts if text[:1].isalpha() and (found := _TWO_DIGITS.match(text))}
    return not numbers <= set(range(10, 30)) and numbers <= set(range(1, 32))


def _first(*readers: Reader) -> Reader:
    """A reader that returns the result of the first of these readers that can read the cell."""
    return lambda cell: next((parts for read in readers if (parts := read(cell)) is not None), None)


DATES: dict[str, Reader] = {
    "year-month-day": _first(iso, _dated("Y-m-d", "Y.m.d"), _quarter, _week, _east_asian),
    "year/month/day": _dated("Y/m/d"),
    "day.month.year": _dated("d.m.Y"),
    "month/day/year": _dated("m/d/Y"),
    "day/month/year": _dated("d/m/Y"),
    "month-day-year": _dated("m-d-Y"),
    "day-month-year": _dated("d-m-Y"),
    "day month year": _after_weekday(_first(_dated("d b Y", "d-b-Y", "d/b/Y"), _log)),
    "weekday, day month year": _mail,
    MONTH: _month_year,
    PLAIN_MONTH: lambda cell: _month_year(cell) if _PLAIN_MONTH.fullmatch(cell) else None,
    "month day, year": _after_weekday(_dated("b d, Y", "b d Y", "b-d-Y")),
    COMPACT: _compact,
}
TIMES: dict[str, Reader] = {"hour:minute": _time_of_day}
DAY_FIRST = ["day/month/year", "day-month-year"]


def parts_of(form: str) -> tuple[str, ...]:
    """The names of the numbers of a cell; the hour of a date is used where it differs."""
    return DATE_PARTS if form in DATES else ("",)


def other_order(form: str, texts: list[str]) -> str | None:
    """The form of dates with day and month swapped, if it gives other dates for these texts and reads all of them."""
    other = re.sub("day|month", lambda found: "month" if found[0] == "day" else "day", form)
    if other not in DATES or any(DATES[other](text) is None for text in texts):
        return None
    return other if any(DATES[other](text) != DATES[form](text) for text in texts) else None
