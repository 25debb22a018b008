"""Triggers in Simplified Chinese."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from tickonce.calendars.base import Calendar
from tickonce.triggers.calendar import format_time
from tickonce.triggers.instants import format_instant
from tickonce.triggers.shapes import All, Run, Shape, Steps, These
from tickonce.triggers.walltimes import DayRule, Kind

_WEEKDAYS = ("周日", "周一", "周二", "周三", "周四", "周五", "周六")
_EVENTS = {
    "dawn_astronomical": "天文晨光始",
    "dawn_nautical": "航海晨光始",
    "dawn_civil": "民用晨光始",
    "sunrise": "日出",
    "solar_noon": "正午（太阳最高时）",
    "sunset": "日落",
    "dusk_civil": "民用昏影终",
    "dusk_nautical": "航海昏影终",
    "dusk_astronomical": "天文昏影终",
}
_UNITS = {"second": "秒", "minute": "分钟", "hour": "小时", "day": "天", "week": "周", "month": "个月", "year": "年"}
_SIZES = (("天", 86_400), ("小时", 3_600), ("分钟", 60), ("秒", 1))
#: Of countries whose calendars are asked for often; others go by their codes.
_COUNTRIES = {
    "CN": "中国",
    "HK": "中国香港",
    "MO": "中国澳门",
    "TW": "中国台湾",
    "JP": "日本",
    "KR": "韩国",
    "SG": "新加坡",
    "MY": "马来西亚",
    "TH": "泰国",
    "VN": "越南",
    "IN": "印度",
    "US": "美国",
    "CA": "加拿大",
    "GB": "英国",
    "DE": "德国",
    "FR": "法国",
    "AU": "澳大利亚",
    "BR": "巴西",
    "RU": "俄罗斯",
}


class Chinese:
    """The grammar of Simplified Chinese."""

    def sentence(self, times: str, *, days: str, months: str, years: str, zone: str) -> str:
        if not days:
            days = "" if times.startswith("每") else "每天"
        elif days.startswith("周"):
            days = f"每{days}"
        elif months:
            days = days.removeprefix("每月").lstrip()
        elif not days.startswith("每"):
            days = f"每月{days}"
        if "或" in days:
            days = f"{days}，"  # the times are those of both
        when = f"{years}，" if years else ""
        if months:
            several = months.count("月") > 1 or not days[:1].isdecimal() or "或" in days
            of = "的" if days and not days.startswith("每") and several else ""
            when = f"{years}的{months}{of}" if years else f"每年{months}{of}"
        return _with_zone(_spaced(when, days, times), zone)

    def dated(self, dates: str, at: time, *, zone: str) -> str:
        date, aside, rest = dates.partition("（")
        return _with_zone(_spaced(date, format_time(at), aside + rest), zone)

    def clock_times(self, times: Sequence[time], *, daily: bool) -> str:
        del daily  # the sentence says so
        return _listed([format_time(each) for each in times])

    def each(self, unit: str, number: int) -> str:
        name = _UNITS[unit]
        return f"每{name.removeprefix('个') if unit == 'month' else name}" if number == 1 else f"每 {number} {name}"

    def within(self, phrase: str, first: time, last: time) -> str:
        return f"{format_time(first)} 至{'次日' if last < first else ''} {format_time(last)} {phrase}"

    def parts(self, seconds: Shape, minutes: Shape, hours: Shape, *, says_seconds: bool) -> str:
        text = "每小时" if isinstance(hours, All) else _counted("点", hours)
        if not (says_seconds and isinstance(minutes, All)):
            if not isinstance(hours, All):
                text += "，每小时" if isinstance(minutes, Steps) else "的"
            text += _counted("分", minutes)
        elif isinstance(hours, All):
            text = "每分钟"
        else:
            text += "的每分钟"
        if says_seconds:
            several = not isinstance(minutes, All)
            text += ("，每分钟" if isinstance(seconds, Steps) else "的") if several else ""
            text += _counted("秒", seconds)
        return text

    def numbers(self, shape: Shape, rules: Sequence[DayRule]) -> str:
        said = [] if shape == These(()) else [_counted("日", shape)]
        return _listed([*said, *map(self._number_rule, rules)])

    def weekdays(self, shape: Shape, rules: Sequence[DayRule]) -> str:
        said: list[str]
        match shape:
            case All():
                said = ["周一至周日"]
            case Run(first, last):
                said = [f"{_WEEKDAYS[first % 7]}至{_WEEKDAYS[last % 7]}"]
            case Steps(step, first):
                said = [_WEEKDAYS[day] for day in range(first, 7, step)]
            case These(values):
                said = (
                    [_WEEKDAYS[day] for day in (*values[1:], 0)]
                    if values[:1] == (0,)
                    else [_WEEKDAYS[d] for d in values]
                )
        return _listed([*said, *map(self._weekday_rule, rules)])

    def either(self, first: str, second: str) -> str:
        return _spaced(f"每月{first}或{'每' if second.startswith('周') else ''}{second}")

    def as_well(self, first: str, second: str) -> str:
        return _spaced(f"每月{first}（仅限{second}）")

    def months(self, shape: Shape) -> str:
        match shape:
            case All():
                return ""
            case Run(first, last):
                return f"{first} 月至{'次年' if last < first else ''} {(last - 1) % 12 + 1} 月"
            case Steps(step, first):
                return _listed([f"{month} 月" for month in range(first, 13, step)])
            case These(values):
                return _listed([f"{month} 月" for month in values])

    def years(self, shape: Shape) -> str:
        match shape:
            case All():
                return ""
            case Run(first, last):
                return f"{first} 年至 {last} 年"
            case Steps(step, first):
                return f"自 {first} 年起每 {step} 年"
            case These(values):
                return _listed([f"{year} 年" for year in values])

    def with_policies(self, text: str, *, gap: str | None, fold: str | None) -> str:
        said = {
            "after": "时钟拨快时跳过的时刻，在拨快后立即执行",
            "skip": "时钟拨快时跳过的时刻不执行",
            "once": "时钟拨慢时重复的时刻只执行一次",
            "both": "时钟拨慢时重复的时刻执行两次",
        }
        return "；".join([text, *(said[each] for each in (gap, fold) if each)])

    def period(self, length: timedelta, *, anchor: datetime | None, shift: timedelta | None, spread: bool) -> str:
        text = f"每 {_length(length)}"
        if length == timedelta(days=1):
            text = "每隔 24 小时"  # 每天 would be taken for a time of day
        elif length > timedelta(days=1):
            text += "（按经过的时间计）"
        elif text.startswith("每 1 ") and text.count(" ") == 2:
            text = f"每{text.removeprefix('每 1 ')}"
        if anchor is not None:
            text += f"，自 {format_instant(anchor)} 起算"
        if shift is not None:
            text += f"，错开 {_length(shift)}"
        elif spread:
            text += "，按计划的 ID 错开"
        return text

    def dates(self, months: int, days: int, anchor: date, *, overflow: str) -> str:
        if days:
            if days == 1:
                return "每天"
            weekday = _WEEKDAYS[anchor.isoweekday() % 7]
            if days == 7:
                return f"每{weekday}"
            said = f"每 {days // 7} 周的{weekday}" if days % 7 == 0 else f"每 {days} 天"
            return f"{said}（自 {anchor} 起算）"
        yearly = months % 12 == 0
        if yearly:
            of = "" if months == 12 else "的"
            text = f"{self.each('year', months // 12)}{of} {anchor.month} 月 {anchor.day} 日"
        else:
            text = f"每月 {anchor.day} 日" if months == 1 else f"每 {months} 个月的 {anchor.day} 日"
        asides = []
        if anchor.day > 28 and not (yearly and anchor.month != 2):
            asides.append(
                f"没有 {anchor.day} 日时改为当月最后一天" if overflow == "last" else f"没有 {anchor.day} 日则跳过"
            )
        if months not in {1, 12}:
            asides.append(f"自 {anchor} 起算")
        return f"{text}（{'，'.join(asides)}）" if asides else text

    def instants(self, shown: Sequence[str], more: int) -> str:
        rest = f"（另有 {more} 个时刻）" if more else ""
        return f"在 {_listed(shown)} {'各' if len(shown) > 1 else ''}执行一次{rest}"

    def solar(self, event: str, place: str) -> str:
        return f"每天{_EVENTS[event]}时（{place}）"

    def rule(self, parts: str, start: datetime, zone: str) -> str:
        return _with_zone(f"自 {start:%Y-%m-%d %H:%M:%S} 起，按重复规则 {parts}", zone)

    def in_zone(self, text: str, zone: str) -> str:
        return f"{text}（均为 {zone} 时间）"

    def any_of(self, sentences: Sequence[str]) -> str:
        return _spaced("；或".join(sentences))

    def all_of(self, sentences: Sequence[str]) -> str:
        return _spaced("，且同时满足：".join(sentences))

    def but_not(self, sentence: str, excluded: Sequence[str]) -> str:
        return _spaced(f"{sentence}，但不包括：{'；也不包括：'.join(excluded)}")

    def on_days(self, sentence: str, calendar: Calendar, *, skip: bool, move: str | None) -> str:
        kind = "工作日" if calendar.days == "working" else "节假日"
        days = f"{_title(calendar)}{kind}"
        if move is None:
            return _spaced(f"{sentence}，{days}除外" if skip else f"{sentence}，仅限{days}")
        where = "顺延至下一个" if move == "next" else "提前至上一个"
        wanted = f"非{kind}" if skip else kind
        return _spaced(f"{sentence}，遇{days if skip else f'{_title(calendar)}非{kind}'}{where}{wanted}")

    def weekday(self, day: date) -> str:
        return _WEEKDAYS[day.isoweekday() % 7]

    def length(self, length: timedelta) -> str:
        return _length(length)

    def count(self, number: int, *, more: bool) -> str:
        return f"（{number}{'+' if more else ''} 次）"

    def guess(self, calendar: Calendar, years: Sequence[int]) -> str:
        kind = "工作日" if calendar.days == "working" else "节假日"
        return f"{_title(calendar)}{kind}日历没有 {_listed([f'{year} 年' for year in years])}的数据，仅按星期判断"

    def unknown(self, kind: str) -> str:
        return f"类型为 {kind!r} 的触发器（此版本不识别）"

    def moved(self, day: date, missing: str, zone: str, due: str, *, on: date) -> str:
        then = due if on == day else f"{_day(on)}{due}"
        return f"{_day(day)}：{zone} 时钟拨快，没有 {missing}，改在 {then} 执行"

    def left_out(self, day: date, missing: str, zone: str) -> str:
        return f"{_day(day)}：{zone} 时钟拨快，没有 {missing}，不执行"

    def repeated(self, day: date, shown: str, zone: str, *, which: str) -> str:
        said = {"once": "只在第一次执行", "first": "这是第一次", "second": "这是第二次"}
        return f"{_day(day)}：{zone} 时钟拨慢，{shown} 出现两次，{said[which]}"

    def _number_rule(self, rule: DayRule) -> str:
        match rule.kind:
            case Kind.LAST:
                return "最后一天" if rule.number == 0 else f"倒数第 {rule.number + 1} 天"
            case Kind.NEAREST_TO_LAST if rule.number == 0:
                return f"最后一个{_WORKED}"
            case Kind.NEAREST_TO_LAST:
                return f"离倒数第 {rule.number + 1} 天最近的{_WORKED}"
            case _:
                return f"离 {rule.number} 日最近的{_WORKED}"

    def _weekday_rule(self, rule: DayRule) -> str:
        name = _WEEKDAYS[rule.weekday]
        return f"最后一个{name}" if rule.kind is Kind.LAST_WEEKDAY else f"第{'一二三四五'[rule.number - 1]}个{name}"


#: Of working days cron knows nothing but the week.
_WORKED = "工作日（周一至周五）"
#: Between Chinese and the rest there is a space, within either there is none that the other asked for.
_TO_OTHER = re.compile(r"(?<=[一-鿿])(?=[A-Za-z0-9])|(?<=[A-Za-z0-9°])(?=[一-鿿])")
_NEEDLESS = re.compile(r"(?<=[一-鿿，；：（）、]) +(?=[一-鿿，；：（）、])|(?<=[，；：（）、]) +| +(?=[，；：（）、])")


def _spaced(*parts: str) -> str:
    return _NEEDLESS.sub("", _TO_OTHER.sub(" ", " ".join(part for part in parts if part)))


def _with_zone(text: str, zone: str) -> str:
    return f"{text}（{zone} 时间）" if zone else text


def _title(calendar: Calendar) -> str:
    country, dash, part = calendar.title.partition("-")
    spec = calendar.source.spec()
    if "country" not in spec:
        return f"“{calendar.title}”的"
    return f"{_COUNTRIES.get(country, country)}{f'（{part}）' if dash else ''}的"


def _listed(parts: Sequence[str]) -> str:
    if len(parts) < 2:
        return parts[0]
    return _spaced(
        f"{'、'.join(parts[:-1])}和 {parts[-1]}" if parts[-1][0].isascii() else f"{'、'.join(parts[:-1])}和{parts[-1]}"
    )


#: What stands before a number of each, and what so many of them are called.
_COUNTED = {"秒": ("第", "秒", "秒"), "分": ("第", "分钟", "分钟"), "点": ("", "点", "小时"), "日": ("", "日", "天")}


def _counted(unit: str, shape: Shape) -> str:
    before, behind, several = _COUNTED[unit]
    match shape:
        case All():
            return f"每{several}"
        case Run(first, last) if before:
            return f"{before} {first} 至 {last} {behind}"
        case Run(first, last):
            return f"{first} {behind}至 {last} {behind}"
        case Steps(step, first):
            return f"从{before} {first} {behind}起每 {step} {several}"
        case These(values) if before:
            return f"{before} {'、'.join(map(str, values))} {behind}"
        case These(values):
            return _listed([f"{value} {behind}" for value in values])


def _length(length: timedelta) -> str:
    seconds, micros = length // timedelta(seconds=1), length.microseconds
    parts = []
    for unit, size in _SIZES:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    if micros:
        parts.append(f"{micros // 1_000} 毫秒" if micros % 1_000 == 0 else f"{micros} 微秒")
    return " ".join(parts) or "0 秒"


def _day(day: date) -> str:
    return f"{day.year} 年 {day.month} 月 {day.day} 日（{_WEEKDAYS[day.isoweekday() % 7]}）"
