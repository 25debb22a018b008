"""Triggers in Simplified Chinese."""

from __future__ import annotations

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


class Chinese:
    """The grammar of Simplified Chinese."""

    def sentence(self, times: str, *, days: str, months: str, years: str, zone: str) -> str:
        if not months and not years and days.startswith("周"):
            days = f"每{days}"
        elif not months and not years and days and not days.startswith("每"):
            days = f"每月{' ' if days[0].isascii() else ''}{days}"
        elif months and not years:
            months = f"每年 {months}"
        text = " ".join(part for part in (years, months, days, times) if part)
        return f"{text}（{zone} 时间）" if zone else text

    def dated(self, dates: str, at: time, *, zone: str) -> str:
        return self.sentence(f"{dates} {format_time(at)}", days="", months="", years="", zone=zone)

    def clock_times(self, times: Sequence[time], *, daily: bool) -> str:
        return ("每天 " if daily else "") + _listed([format_time(each) for each in times])

    def each(self, unit: str, number: int) -> str:
        name = _UNITS[unit]
        return f"每{name.removeprefix('个') if unit == 'month' else name}" if number == 1 else f"每 {number} {name}"

    def within(self, phrase: str, first: time, last: time) -> str:
        return f"{format_time(first)} 至 {format_time(last)} {phrase}"

    def parts(self, seconds: Shape, minutes: Shape, hours: Shape, *, says_seconds: bool) -> str:
        of_hours = "每小时" if isinstance(hours, All) else _counted("点", hours)
        if not says_seconds:
            return f"{of_hours}{'' if isinstance(minutes, Steps) else '的'}{_counted('分', minutes)}"
        of_minutes = "每分钟" if isinstance(minutes, All) else _counted("分", minutes)
        if isinstance(hours, All) and isinstance(minutes, All):
            return f"每分钟{'' if isinstance(seconds, Steps) else '的'}{_counted('秒', seconds)}"
        return f"{of_hours}的{of_minutes}的{_counted('秒', seconds)}"

    def numbers(self, shape: Shape, rules: Sequence[DayRule]) -> str:
        said = [_counted("日", shape)] if shape != These(()) else []
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
        space = " " if first[0].isascii() else ""
        return f"每月{space}{first}或{'每' if second.startswith('周') else ''}{second}"

    def as_well(self, first: str, second: str) -> str:
        return f"每月{' ' if first[0].isascii() else ''}{first}且为{second}"

    def months(self, shape: Shape) -> str:
        match shape:
            case All():
                return ""
            case Run(first, last):
                return f"{(first - 1) % 12 + 1} 月至 {(last - 1) % 12 + 1} 月"
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
            "after": "被时钟跳过的时刻在跳变后立即执行",
            "skip": "被时钟跳过的时刻不执行",
            "once": "重复出现的时刻只执行一次",
            "both": "重复出现的时刻两次都执行",
        }
        return "；".join([text, *(said[each] for each in (gap, fold) if each)])

    def period(self, length: timedelta, *, anchor: datetime | None, shift: timedelta | None, spread: bool) -> str:
        text = f"每 {_length(length)}"
        if text.startswith("每 1 ") and text.count(" ") == 2:
            text = f"每{text.removeprefix('每 1 ')}"
        if anchor is not None:
            text += f"，自 {format_instant(anchor)} 起算"
        if shift is not None:
            text += f"，错开 {_length(shift)}"
        elif spread:
            text += "，按任务计划的 ID 错开"
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
            text = f"{self.each('year', months // 12)} {anchor.month} 月 {anchor.day} 日"
        else:
            text = f"每月 {anchor.day} 日" if months == 1 else f"每 {months} 个月的 {anchor.day} 日"
        if anchor.day > 28 and not (yearly and anchor.month != 2):
            text += "（没有该日时取当月最后一天）" if overflow == "last" else "（没有该日的月份跳过）"
        return text if months in {1, 12} else f"{text}（自 {anchor} 起算）"

    def instants(self, shown: Sequence[str], more: int) -> str:
        return f"一次性：{_listed(shown)}" + (f"，另有 {more} 个时刻" if more else "")

    def solar(self, event: str, place: str) -> str:
        return f"每天 {place} 的{_EVENTS[event]}"

    def rule(self, parts: str, start: datetime, zone: str) -> str:
        text = f"自 {start:%Y-%m-%d %H:%M:%S} 起按重复规则 {parts}"
        return f"{text}（{zone} 时间）" if zone else text

    def any_of(self, sentences: Sequence[str]) -> str:
        return "；或 ".join(sentences)

    def all_of(self, sentences: Sequence[str]) -> str:
        return "；且同时满足 ".join(sentences)

    def but_not(self, sentence: str, excluded: Sequence[str]) -> str:
        return f"{sentence}；但不包括 {'；也不包括 '.join(excluded)}"

    def on_days(self, sentence: str, calendar: Calendar, *, skip: bool, move: str | None) -> str:
        days = f"{calendar.title} 的{'工作日' if calendar.days == 'working' else '节假日'}"
        if move is not None:
            where = "下一个" if move == "next" else "上一个"
            if skip:
                return f"{sentence}；遇{days}则移到{where}其他日子"
            return f"{sentence}；不在{days}时移到{where}这样的日子"
        return f"{sentence}；{days}除外" if skip else f"{sentence}；仅限{days}"

    def unknown(self, kind: str) -> str:
        return f"类型为 {kind!r} 的触发器（此版本不识别）"

    def moved(self, day: date, missing: str, zone: str, due: str) -> str:
        return f"{_day(day)}：{zone} 没有 {missing}，改在 {due} 执行"

    def left_out(self, day: date, missing: str, zone: str) -> str:
        return f"{_day(day)}：{zone} 没有 {missing}，不执行"

    def repeated(self, day: date, shown: str, zone: str, *, which: str) -> str:
        said = {"once": "只在第一次执行", "first": "这是第一次", "second": "这是第二次"}
        return f"{_day(day)}：{zone} 的 {shown} 出现两次，{said[which]}"

    def _number_rule(self, rule: DayRule) -> str:
        match rule.kind:
            case Kind.LAST:
                return "最后一天" if rule.number == 0 else f"倒数第 {rule.number + 1} 天"
            case Kind.NEAREST_TO_LAST:
                return (
                    "最后一个周一至周五的日子" if rule.number == 0 else f"离倒数第 {rule.number + 1} 天最近的周一至周五"
                )
            case _:
                return f"离 {rule.number} 日最近的周一至周五"

    def _weekday_rule(self, rule: DayRule) -> str:
        name = _WEEKDAYS[rule.weekday]
        return f"最后一个{name}" if rule.kind is Kind.LAST_WEEKDAY else f"第 {rule.number} 个{name}"


def _listed(parts: Sequence[str]) -> str:
    if len(parts) < 2:
        return parts[0]
    before, after = "、".join(parts[:-1]), parts[-1]
    left, right = (" " if each.isascii() else "" for each in (before[-1], after[0]))
    return f"{before}{left}和{right}{after}"


#: Before and behind a number, and what so many of them are called.
_COUNTED = {"秒": ("第 ", "秒", "秒"), "分": ("第 ", "分", "分钟"), "点": ("", "点", "小时"), "日": ("", "日", "天")}


def _counted(unit: str, shape: Shape) -> str:
    before, behind, several = _COUNTED[unit]
    match shape:
        case All():
            return f"每{several}"
        case Run(first, last):
            return f"{before}{first} 至 {last} {behind}"
        case Steps(step, first):
            return f"从{before or ' '}{first} {behind}起每 {step} {several}"
        case These(values):
            return f"{before}{'、'.join(map(str, values))} {behind}"


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
    return f"{day.year} 年 {day.month} 月 {day.day} 日{_WEEKDAYS[day.isoweekday() % 7]}"
