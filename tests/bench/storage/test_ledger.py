import json
import os
import resource
import signal
import subprocess
import sys

import pytest

from easyedit_ice.bench.storage.ledger import Ledger
from easyedit_ice.bench.storage.line import Place
from easyedit_ice.bench.storage.run_folder import RunFolder, write_atomically
from easyedit_ice.bench.storage.sealed_lines import read_sealed
from easyedit_ice.errors import LedgerError, RunInUseError


def line(position, phase="immediate", **more):
    return {"phase": phase, "position": position, "step": 1, "case": {}, "scores": {}, **more}


def read_lines(path):
    return read_sealed(path, "").lines


def plain(text):
    """A line of a file as it was given to the ledger."""
    return {key: value for key, value in json.loads(text).items() if key != "check"}


def test_lines_are_on_the_disk_when_append_returns_and_are_known_to_the_next_process(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append([line(0, answers=["Zürich"]), line(1)])

    assert [plain(text) for text in (tmp_path / "ledger.jsonl").read_text().splitlines()] == list(ledger)
    assert Place("immediate", 1, 1) in Ledger(tmp_path / "ledger.jsonl")


def test_a_line_is_written_once_whoever_appends_it_again(tmp_path):
    Ledger(tmp_path / "ledger.jsonl").append([line(0), line(1)])

    Ledger(tmp_path / "ledger.jsonl").append([line(1), line(2)])

    assert [found["position"] for found in read_lines(tmp_path / "ledger.jsonl")] == [0, 1, 2]


def test_what_a_kill_left_of_a_line_is_cut_off_and_complete_lines_stay_byte_for_byte(tmp_path):
    path = tmp_path / "ledger.jsonl"
    Ledger(path).append([line(0), line(1)])
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"phase": "immediate", "posi')

    ledger = Ledger(path)

    assert path.read_bytes() == whole
    assert len(ledger) == 2


@pytest.mark.parametrize("broken", [b"not json\n", b"{}\n", b"[1]\n", b"\xff\n"])
def test_a_complete_line_that_is_no_line_is_refused_by_its_number_and_the_file_left_alone(tmp_path, broken):
    path = tmp_path / "ledger.jsonl"
    Ledger(path).append([line(0)])
    whole = path.read_bytes() + broken + b'{"phase": "immediate", "position": 1, "step": 1}\n'
    path.write_bytes(whole)

    with pytest.raises(LedgerError, match="line 2 of"):
        Ledger(path)

    assert path.read_bytes() == whole


def test_a_value_that_is_no_number_never_gets_into_the_ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")

    with pytest.raises(ValueError, match="JSON"):
        ledger.append([line(0, fluency=float("nan"))])

    assert (tmp_path / "ledger.jsonl").read_bytes() == b""


def test_a_full_disk_is_an_error_that_loses_nothing_and_the_run_goes_on_once_there_is_room(tmp_path):
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    ledger.append([line(0)])
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limits[1]))
        with pytest.raises(LedgerError, match="nothing before this is lost"):
            ledger.append([line(1)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)

    assert path.read_bytes() == before
    ledger.append([line(1)])
    assert len(read_lines(path)) == 2


def test_a_folder_that_another_process_works_in_is_refused_with_the_process_named(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunInUseError, match=f"process {holder.pid}"):
            RunFolder(tmp_path)
    finally:
        holder.kill()
        holder.wait()

    with RunFolder(tmp_path):
        pass


_HOLD = """
import sys, time
from easyedit_ice.bench.storage.run_folder import RunFolder
folder = RunFolder(sys.argv[1])
print("held", flush=True)
time.sleep(60)
"""


def test_a_folder_that_cannot_be_written_to_is_refused_before_work_starts():
    with pytest.raises(LedgerError, match="out="):
        RunFolder("/proc/run")  # not even root may make a folder there


def test_a_folder_whose_place_is_taken_by_a_file_is_refused(tmp_path):
    (tmp_path / "run").write_text("a file")

    with pytest.raises(LedgerError, match="cannot be written to"):
        RunFolder(tmp_path / "run")


def test_a_folder_on_a_full_disk_is_refused_before_work_starts(tmp_path, monkeypatch):
    usage = type("usage", (), {"free": 2**20})
    monkeypatch.setattr("easyedit_ice.bench.storage.run_folder.shutil.disk_usage", lambda path: usage)

    with pytest.raises(LedgerError, match="1 MiB left"):
        RunFolder(tmp_path / "run")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "state"
    write_atomically(path, b"first")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3, limits[1]))
        with pytest.raises(LedgerError, match="could not be written"):
            write_atomically(path, b"second")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)

    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]
