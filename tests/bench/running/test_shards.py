import pytest

from easyedit_ice.bench.running.shards import SHARDS, Process, merge, open_ledger
from easyedit_ice.bench.storage.ledger import LEDGER, Ledger
from easyedit_ice.bench.storage.sealed_lines import read_sealed


def lines(position):
    fact = {"position": position, "case": {}, "scores": {}}
    return [fact | {"phase": phase, "step": step} for phase, step in (("before", 0), ("immediate", 1))]


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_the_shares_are_whole_batches_and_together_all_items(count, batch_size):
    items = list(range(21))
    shares = [Process(index, count).share(items, batch_size) for index in range(count)]

    assert sorted(item for share in shares for item in share) == items
    batches = [items[start : start + batch_size] for start in range(0, 21, batch_size)]
    for share in shares:
        starts = [share[start : start + batch_size] for start in range(0, len(share), batch_size)]
        assert all(batch in batches for batch in starts)


def test_one_process_alone_writes_the_ledger_itself(tmp_path):
    open_ledger(tmp_path, Process()).append(lines(0))

    assert len(read_sealed(tmp_path / LEDGER, "").lines) == 2
    assert not (tmp_path / SHARDS).exists()


def test_merged_lines_are_those_of_one_process_in_its_order(tmp_path):
    for index in (1, 0):
        ledger = open_ledger(tmp_path, Process(index, 2))
        for position in range(index, 5, 2):
            ledger.append(lines(position))
    alone = open_ledger(tmp_path / "alone", Process()) if (tmp_path / "alone").mkdir() is None else None
    for position in range(5):
        alone.append(lines(position))

    merge(tmp_path)

    assert (tmp_path / LEDGER).read_bytes() == (tmp_path / "alone" / LEDGER).read_bytes()
    assert not (tmp_path / SHARDS).exists()


def test_what_other_processes_found_before_is_not_written_again(tmp_path):
    Ledger(tmp_path / LEDGER).append(lines(0))
    open_ledger(tmp_path, Process(1, 2)).append(lines(1))

    ledger = open_ledger(tmp_path, Process(0, 3))
    for position in range(3):
        ledger.append(lines(position))
    merge(tmp_path)

    assert [line["position"] for line in read_sealed(tmp_path / LEDGER, "").lines] == [0, 0, 1, 1, 2, 2]


def test_a_merge_that_was_killed_is_done_again_without_doubled_lines(tmp_path):
    for index in range(2):
        open_ledger(tmp_path, Process(index, 2)).append(lines(index))
    Ledger(tmp_path / LEDGER).append(lines(0)[:1])

    merge(tmp_path)
    merge(tmp_path)

    assert [(line["position"], line["phase"]) for line in read_sealed(tmp_path / LEDGER, "").lines] == [
        (0, "before"),
        (0, "immediate"),
        (1, "before"),
        (1, "immediate"),
    ]
