"""What a run says of the time it takes, and when it asks whether it is meant."""

import pytest

from easyedit_ice.bench.running.time_left import Pace, in_words
from easyedit_ice.errors import LongRunError


class Clock:
    """Seconds that a test moves."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def moved(pace, clock, seconds):
    for spent in seconds:
        clock.now += spent
        pace.move(1, worked=True)


def test_the_time_left_is_told_after_the_first_facts_and_then_every_minute():
    clock, said = Clock(), []
    pace = Pace("GoRA", 100, False, said.append, clock)

    moved(pace, clock, [10.0] * 12)

    assert said == ["GoRA: 3 of 100 facts, about 16 min left", "GoRA: 9 of 100 facts, about 15 min left"]


def test_a_pause_does_not_move_the_estimate():
    clock, said = Clock(), []
    pace = Pace("GoRA", 10, False, said.append, clock)

    moved(pace, clock, [10.0, 10.0, 10.0, 40000.0, 10.0])

    assert pace.left == 50.0
    assert said[-1].endswith("about 1 min 0 s left")


def test_facts_that_were_there_already_count_for_nothing_but_their_number():
    clock = Clock()
    pace = Pace("GoRA", 10, False, print, clock)
    pace.move(5, worked=False)

    moved(pace, clock, [2.0])

    assert pace.left == 8.0


def test_a_run_that_would_take_days_is_stopped_unless_it_was_confirmed():
    for confirmed in (False, True):
        clock = Clock()
        pace = Pace("ICE-LoRA", 1000, confirmed, [].append, clock)
        moved(pace, clock, [400.0, 400.0])
        if confirmed:
            moved(pace, clock, [400.0])
        else:
            with pytest.raises(LongRunError, match=r"about 4 d 14 h more for 997 facts.*confirm=true"):
                moved(pace, clock, [400.0])


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5, "5 s"), (90, "1 min 30 s"), (1500, "25 min"), (7800, "2 h 10 min"), (7199, "2 h 0 min"), (396000, "4 d 14 h")],
)
def test_times_are_told_in_two_units(seconds, words):
    assert in_words(seconds) == words
