from __future__ import annotations

from itertools import islice

import pytest
from pace import SECOND_NS, Pacer, Thinning, backoff

STEP_S = 0.04


def due(pacer: Pacer, times: list[float | None], now_ns: int = 0) -> list[float]:
    return [pacer.due_ns(time_s, STEP_S, now_ns) / SECOND_NS for time_s in times]


def test_pictures_are_due_as_their_time_stamps_say() -> None:
    assert due(Pacer(), [5.0, 5.1, 5.5]) == pytest.approx([0, 0.1, 0.5])


def test_speed_divides_the_time_between_pictures() -> None:
    assert due(Pacer(2.0), [0.0, 1.0, 2.0]) == pytest.approx([0, 0.5, 1.0])
    assert due(Pacer(0.5), [0.0, 1.0]) == pytest.approx([0, 2.0])


def test_missing_and_jumping_time_stamps_count_as_one_step() -> None:
    assert due(Pacer(), [None, None, None]) == pytest.approx([0, 0.04, 0.08])
    assert due(Pacer(), [100.0, 3.0, 3.1, 9000.0]) == pytest.approx([0, 0.04, 0.14, 0.18])


def test_a_file_that_begins_again_goes_on_one_step_after_its_last_picture() -> None:
    pacer = Pacer()
    due(pacer, [0.0, 0.04])
    pacer.again()
    assert due(pacer, [0.0, 0.04]) == pytest.approx([0.08, 0.12])


def test_who_comes_late_plays_on_from_now_without_a_burst() -> None:
    pacer = Pacer()
    due(pacer, [0.0, 0.04])
    assert due(pacer, [0.08, 0.12], now_ns=10 * SECOND_NS) == pytest.approx([10, 10.04])


def test_one_in_every_n_is_chosen_and_the_first_always() -> None:
    thinning = Thinning(30, None)
    assert [i for i in range(91) if thinning.wants(i)] == [0, 30, 60, 90]


@pytest.mark.parametrize(
    ("rate", "limit", "chosen"), [(30, 5, 50), (25, 25, 250), (30, 20, 200), (5, 25, 50)]
)
def test_no_more_than_max_fps_are_chosen_and_no_fewer_than_can_be(
    rate: int, limit: float, chosen: int
) -> None:
    thinning = Thinning(1, limit)
    wanted = [thinning.wants(1000 * SECOND_NS + round(i * SECOND_NS / rate)) for i in range(10 * rate)]
    assert wanted[0]
    assert sum(wanted) == pytest.approx(chosen, abs=1)


def test_uneven_arrival_does_not_lower_the_rate() -> None:
    thinning = Thinning(1, 10)
    arrivals = [i * SECOND_NS // 10 + (30_000_000 if i % 2 else 0) for i in range(100)]
    assert sum(map(thinning.wants, arrivals)) >= 98


def test_a_pause_is_not_made_up_for_by_a_burst() -> None:
    thinning = Thinning(1, 1)
    assert thinning.wants(0)
    burst = [100 * SECOND_NS + i for i in range(10)]
    assert sum(map(thinning.wants, burst)) == 1


def test_an_unusable_picture_gives_its_place_to_the_next() -> None:
    thinning = Thinning(30, 1)
    assert thinning.wants(0)
    thinning.choose_next()
    assert thinning.wants(1)


def test_retries_begin_within_a_second_and_never_wait_more_than_two() -> None:
    waits = list(islice(backoff(), 50))
    assert waits[0] < 1
    assert max(waits) <= 2
    assert min(waits[3:]) >= 1
    assert len(set(waits)) > 25
