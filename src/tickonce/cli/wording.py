"""What ``next`` and ``calendar`` say around triggers, in the languages that triggers are described in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tickonce.model import ScheduleState
from tickonce.triggers.describe import Lang


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """Phrases of one language; what stands in braces is filled in.

    Attributes:
        heads: Of the columns of ``next``: scheduled time, distance from now, the same in UTC, note.
        states: Names of states in which nothing is launched.
    """

    heads: tuple[str, str, str, str]
    states: Mapping[str, str]
    colon: str
    shown_in: str
    another_zone: str
    none_left: str
    not_launched: str
    span: str
    times_in: str
    nothing_fires: str
    no_schedule: str
    paused: str
    not_shown: str
    shown_in_part: str
    moved: str


_WORDINGS: Mapping[Lang, Wording] = {
    "en": Wording(
        heads=("scheduled time", "", "utc", "note"),
        states={str(state): str(state) for state in ScheduleState},
        colon=": ",
        shown_in=" (times shown in {tz})",
        another_zone=" (another zone: --tz Asia/Shanghai)",
        none_left="No fire is left.",
        not_launched="{id} is {state}: nothing is launched as long as it is.",
        span="{first} to {last}",
        times_in="{span}, times in {tz}",
        nothing_fires="Nothing fires from {span}.",
        no_schedule="No schedule matches.",
        paused="Paused, and not shown: {ids}",
        not_shown="{id} is not shown: {why}",
        shown_in_part="{id} is shown in part: {why}",
        moved="* moved, by a change of the clocks or to another day of a calendar",
    ),
    "zh": Wording(
        heads=("计划时间", "", "UTC", "说明"),
        states={"active": "启用", "paused": "已暂停", "ended": "已结束", "removed": "已删除", "aside": "已搁置"},
        colon="：",
        shown_in="（时间按 {tz} 显示）",
        another_zone="（其他时区：--tz Asia/Shanghai）",
        none_left="不再有触发时间。",
        not_launched="{id} {state}：在此期间不会启动。",
        span="{first} 至 {last}",
        times_in="{span}，时间按 {tz}",
        nothing_fires="{span} 没有触发。",
        no_schedule="没有符合条件的计划。",
        paused="已暂停，未显示：{ids}",
        not_shown="{id} 未显示：{why}",
        shown_in_part="{id} 仅显示一部分：{why}",
        moved="* 表示因时钟调整或按日历改期",
    ),
}


def wording(lang: Lang) -> Wording:
    """Return the phrases of *lang*."""
    return _WORDINGS[lang]
