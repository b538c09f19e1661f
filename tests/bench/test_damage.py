"""Whatever happened to a run's files: it ends with the lines it would have had, or says what to do."""

import json
import random
import shutil

import pytest
from runs import configured

from easyedit_ice.bench.asking.aftermath import Aftermath
from easyedit_ice.bench.asking.examiner import Examiner
from easyedit_ice.bench.asking.facts import choose
from easyedit_ice.bench.methods import make_method
from easyedit_ice.bench.running.batch_edit import Bench
from easyedit_ice.bench.running.stream_mode import Stream, run_stream
from easyedit_ice.bench.running.stream_state import STATE, StreamState
from easyedit_ice.bench.storage.ledger import LEDGER, Ledger
from easyedit_ice.bench.storage.run_manifest import IDENTITY, enter, origin_of
from easyedit_ice.bench.storage.sealed_lines import read_sealed
from easyedit_ice.bench.telemetry.cost import Meter
from easyedit_ice.errors import LedgerError
from easyedit_ice.text.chat import asking_for

FACTS = ("data.size=3", "data.untouched=1", "evaluation=fast", "evaluation.answers=false")


class Runs:
    """Streams of one model, loaded once."""

    def __init__(self):
        self.config = configured("algorithm=LoRA-BF", "mode=sequential", *FACTS)
        self.facts = choose(self.config.data)
        settings = {"num_steps": 1, "layers": [5]}
        self.method = make_method("LoRA-BF", model=self.config.model, settings=settings)

    def go(self, folder):
        """The lines that a run in this folder ends with, cost aside."""
        method, config = self.method, self.config
        method.reset()
        folder.mkdir(exist_ok=True)
        manifest = dict.fromkeys(IDENTITY, "x") | dict.fromkeys(("started", "versions", "git", "command"))
        enter(folder, manifest)
        ledger = Ledger(folder / LEDGER, origin_of(folder))
        try:
            examiner = Examiner(config.evaluation, method.tok, method.hparams, 0, asking=asking_for(method.tok, False))
            aftermath = Aftermath(method.tok, examiner)
            bench = Bench(method, examiner, None, ledger, 0, Meter(method.model), lambda count, lines: None, aftermath)
            stream = Stream(retain_every=2, checkpoint_every=2)
            run_stream(bench, self.facts.edited, self.facts.untouched, stream, StreamState(folder, ledger))
        finally:
            ledger.close()
        return lines_of(folder)


def lines_of(folder):
    lines = read_sealed(folder / LEDGER, origin_of(folder)).lines
    return [{key: value for key, value in line.items() if key != "cost"} for line in lines]


@pytest.fixture(scope="module")
def runs():
    return Runs()


@pytest.fixture(scope="module")
def whole(runs, tmp_path_factory):
    """A finished run, and its lines."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, runs.go(folder)


def flipped(data, rng):
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]


def cut(data, rng):
    return data[: rng.randrange(len(data))]


def cut_after_a_line(data, rng):
    lines = data.splitlines(keepends=True)
    return b"".join(lines[: rng.randrange(len(lines))])


def without_a_line(data, rng):
    lines = data.splitlines(keepends=True)
    del lines[rng.randrange(len(lines))]
    return b"".join(lines)


def with_lines_swapped(data, rng):
    lines = data.splitlines(keepends=True)
    one, other = rng.sample(range(len(lines)), 2)
    lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


def with_a_line_twice(data, rng):
    lines = data.splitlines(keepends=True)
    return b"".join([*lines, lines[rng.randrange(len(lines))]])


def with_a_score_raised(data, rng):
    lines = data.splitlines(keepends=True)
    scored = [place for place, line in enumerate(lines) if b'"rewrite": 0.0' in line]
    place = rng.choice(scored)
    lines[place] = lines[place].replace(b'"rewrite": 0.0', b'"rewrite": 1.0', 1)
    return b"".join(lines)


LEDGERS = (flipped, cut, cut_after_a_line, without_a_line, with_lines_swapped, with_a_line_twice, with_a_score_raised)
STATES = (flipped, cut)


@pytest.mark.parametrize("trials", [20, pytest.param(200, marks=pytest.mark.long)])
def test_damaged_files_end_with_the_same_lines_or_with_an_error_that_says_what_to_do(trials, runs, whole, tmp_path):
    folder, expected = whole
    rng, refused = random.Random(0), 0
    for trial in range(trials):
        copy = shutil.copytree(folder, tmp_path / str(trial))
        damages = [(LEDGER, rng.choice(LEDGERS))] if trial % 3 else [(STATE, rng.choice(STATES))]
        damages += [(LEDGER, cut_after_a_line)] if trial % 9 == 0 else []
        for name, damage in damages:
            (copy / name).write_bytes(damage((copy / name).read_bytes(), rng))
        told = f"trial {trial}: {[(name, damage.__name__) for name, damage in damages]}"
        try:
            assert runs.go(copy) == expected, told
        except LedgerError as error:
            refused += 1
            assert "delete" in str(error), told
            assert f"of {copy / LEDGER}" in str(error) or str(copy / STATE) in str(error), told
        shutil.rmtree(copy)
    assert trials // 2 < refused < trials


def test_a_line_is_named_that_was_changed(runs, whole, tmp_path):
    copy = shutil.copytree(whole[0], tmp_path / "copy")
    lines = (copy / LEDGER).read_bytes().splitlines(keepends=True)
    lines[6] = lines[6].replace(b'"scores"', b'"Scores"')
    (copy / LEDGER).write_bytes(b"".join(lines))

    with pytest.raises(LedgerError, match=r"line 7 of .* checksum does not fit"):
        runs.go(copy)


def test_the_remedy_of_the_message_helps(runs, whole, tmp_path):
    copy = shutil.copytree(whole[0], tmp_path / "copy")
    lines = (copy / LEDGER).read_bytes().splitlines(keepends=True)
    (copy / LEDGER).write_bytes(b"".join(lines[:6]))

    assert runs.go(copy) == whole[1]


def test_a_ledger_of_another_run_is_refused(runs, whole, tmp_path):
    copy = shutil.copytree(whole[0], tmp_path / "copy")
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"hparams": {"lr": 1}}))

    with pytest.raises(LedgerError, match="line 1 of"):
        lines_of(copy)


def test_a_state_of_an_earlier_moment_is_gone_on_from(runs, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(StreamState, "save", _only_at(2, StreamState.save))
    runs.go(tmp_path / "earlier")
    shutil.copytree(whole[0], tmp_path / "copy")
    lines = (tmp_path / "earlier" / LEDGER).read_bytes()
    (tmp_path / "copy" / STATE).write_bytes((tmp_path / "earlier" / STATE).read_bytes())
    (tmp_path / "copy" / LEDGER).write_bytes(lines)
    monkeypatch.undo()

    assert runs.go(tmp_path / "copy") == whole[1]


def test_a_ledger_without_checksums_is_read_and_added_to(runs, whole, tmp_path):
    copy = shutil.copytree(whole[0], tmp_path / "copy")
    texts = [json.loads(text) for text in (copy / LEDGER).read_bytes().splitlines()]
    plain = [json.dumps({key: value for key, value in line.items() if key != "check"}) + "\n" for line in texts]
    (copy / LEDGER).write_text("".join(plain[:7]))

    assert runs.go(copy) == whole[1]

    whole_text = (copy / LEDGER).read_text()
    assert whole_text.startswith("".join(plain[:7]))
    (copy / LEDGER).write_text(whole_text.replace('"rewrite": 0.0', '"rewrite": 0.5', 1))
    with pytest.raises(LedgerError, match="line 8 of"):
        lines_of(copy)


@pytest.mark.parametrize("broken", [b'"scorfs"', b'"scores" '])
def test_a_flipped_letter_is_found_in_lines_without_checksums(whole, tmp_path, broken):
    copy = shutil.copytree(whole[0], tmp_path / "copy")
    line = json.loads((copy / LEDGER).read_bytes().splitlines()[0])
    text = json.dumps({key: value for key, value in line.items() if key != "check"}).encode() + b"\n"
    (copy / LEDGER).write_bytes(text.replace(b'"scores"', broken))

    if broken == b'"scorfs"':
        with pytest.raises(LedgerError, match=r"line 1 of .* unknown entry 'scorfs'"):
            lines_of(copy)
    else:
        assert len(lines_of(copy)) == 1


def _only_at(step, save):
    return lambda state, method, at: save(state, method, at) if at == step else None
