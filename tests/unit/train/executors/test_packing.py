import logging

import pytest

from robust_select.core.instances import Instance, seeds_for
from robust_select.train.executors.packing import Measurement, Task, Waiting, spread


class Stacker:
    """A trainer whose candidates of one shape can be trained together."""

    def __call__(self, params, instance):
        raise NotImplementedError

    def stack_key(self, params):
        return params["shape"]

    def stack_size(self, params):
        raise NotImplementedError

    def why_alone(self, params):
        raise NotImplementedError

    def train_together(self, params, instances):
        raise NotImplementedError


def task(shape="a", replicate=0):
    return Task({"shape": shape}, Instance(shape, replicate, seeds_for(0, replicate)))


def waiting_of(shapes, sizes):
    """Make a queue of tasks, one a letter, with the stack sizes known."""
    waiting = Waiting(Stacker())
    for replicate, shape in enumerate(shapes):
        waiting.put(task(shape, replicate))
    for shape, size in sizes.items():
        waiting.measured(Measurement(shape, {}), size)
    return waiting


def taken(waiting, n_idle, **how):
    """Let idle lanes take what they take, one after the other."""
    found = []
    for left in range(n_idle, 0, -1):
        tasks = waiting.take(left, **how)
        if tasks is None:
            break
        found.append("".join(task.params["shape"] for task in tasks))
    return found


def test_a_plain_trainer_is_given_one_at_a_time_in_order():
    waiting = Waiting(lambda params, instance: 0.0)
    tasks = [task(replicate=replicate) for replicate in range(3)]
    for each in tasks:
        waiting.put(each)
    assert not waiting.is_packing
    assert [waiting.take(2, only_full=True) for _ in range(4)] == [[tasks[0]], [tasks[1]], [tasks[2]], None]


@pytest.mark.parametrize(
    ("shapes", "n_idle", "expected"),
    [
        ("a" * 10, 2, ["aaaaa", "aaaaa"]),  # 5 + 5, and not 8 + 2
        ("a" * 10, 1, ["aaaaaaaa"]),
        ("a" * 20, 2, ["aaaaaaaa", "aaaaaaaa"]),
        ("a" * 3, 2, ["aa", "a"]),
        ("a", 4, ["a"]),
        ("abababab", 2, ["aaaa", "bbbb"]),
        ("aaaaaabb", 4, ["aa", "aa", "aa", "bb"]),
        ("a" * 9, 3, ["aaa", "aaa", "aaa"]),
        ("abc", 2, ["a", "b"]),
    ],
)
def test_idle_lanes_share_what_waits(shapes, n_idle, expected):
    assert taken(waiting_of(shapes, dict.fromkeys("abc", 8)), n_idle) == expected


def test_while_more_may_come_only_full_stacks_are_taken():
    waiting = waiting_of("aaabbbbb", {"a": 4, "b": 4})
    assert taken(waiting, 2, only_full=True) == ["bbbb"]
    assert taken(waiting, 1) == ["aaa"]
    assert taken(waiting, 1) == ["b"]
    assert waiting.take(1) is None


def test_a_size_is_measured_once_and_only_where_there_is_something_to_stack():
    waiting = waiting_of("aabbc", {})
    first, second = waiting.take(3, only_full=True), waiting.take(2, only_full=True)
    assert (first.key, second.key) == ("a", "b")
    assert waiting.take(1, only_full=True) is None  # a single one may get company
    assert taken(waiting, 1) == ["c"]  # or not, then there is nothing to measure
    assert waiting.take(1) is None  # the others are being measured
    waiting.measured(second, 2)
    assert taken(waiting, 2) == ["b", "b"]
    waiting.measured(first, 2)
    assert taken(waiting, 1) == ["aa"]


def test_what_is_given_back_is_alone_and_first():
    waiting = waiting_of("aaa", {"a": 3})
    lost = waiting.take(1)
    waiting.put(task("b"))
    for each in reversed(lost):
        each.is_alone = True
        waiting.put_first(each)
    assert [waiting.take(1) for _ in range(3)] == [[each] for each in lost]
    assert taken(waiting, 1) == ["b"]


def test_parameters_without_a_key_are_trained_alone_where_they_will_fail():
    waiting = waiting_of("aa", {"a": 2})
    bad = Task({}, Instance("bad", 0, seeds_for(0, 0)))
    waiting.put(bad)
    assert taken(waiting, 1) == ["aa"]
    assert waiting.take(1) == [bad]


def test_the_reason_is_said_once(caplog):
    waiting = waiting_of("aabb", {})
    with caplog.at_level(logging.WARNING, logger="robust_select"):
        for wish in [waiting.take(2), waiting.take(1)]:
            waiting.measured(wish, 1, "'head' is a Bilinear")
    assert [record.getMessage() for record in caplog.records] == [
        "candidates are trained one by one, and so more slowly: 'head' is a Bilinear"
    ]


def test_nothing_is_left_when_it_is_cleared():
    waiting = waiting_of("aab", {"a": 2, "b": 2})
    assert len(waiting.clear()) == 3
    assert waiting.take(1) is None


@pytest.mark.parametrize("n_lanes", range(1, 9))
@pytest.mark.parametrize("groups", [[(1, 4)], [(10, 8)], [(5, 2), (9, 8), (1, 1)], [(33, 16), (2, 2)]])
def test_stacks_are_no_larger_than_allowed_and_lanes_idle_only_for_want_of_tasks(groups, n_lanes):
    parts = spread(groups, n_lanes)
    for (n_tasks, size), n_parts in zip(groups, parts, strict=True):
        assert -(-n_tasks // n_parts) <= size
        assert n_parts <= n_tasks
    n_tasks = sum(n for n, _ in groups)
    assert sum(parts) >= min(n_lanes, n_tasks)
    assert sum(parts) <= max(n_lanes, sum(-(-n // size) for n, size in groups))
