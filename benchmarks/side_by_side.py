"""Many runs of `easyedit-ice run` side by side on one machine, within a given time.

Jobs are processes with one thread each. One that crashes stops no other; at the end of the time what still runs is
stopped as by Ctrl-C, and what has not begun is left. Every run resumes: the same command goes on where it was.

    python benchmarks/side_by_side.py jobs.yaml --processes 14 --seconds 480 --out runs

The file lists jobs, in YAML or JSON:

    common: data=counterfact data.known=true data.size=100 model.device=cuda:0
    jobs:
    - {name: smollm2/GoRA, run: algorithm=GoRA model.name=smollm2-135m}
    - {name: smollm2/ROME, run: algorithm=ROME model.name=smollm2-135m, priority: 1, env: {EASYEDIT_HOME: EasyEdit}}

`run` and `common` are overrides of `easyedit-ice run`, as text or as a list; a job's own win. `out` is
`<--out>/<name>`, unless given. Jobs of a higher `priority` (0) begin first, and equal ones in the order of the file.
Beside a run's folder lies `<name>.log`, what the process printed; `summary.json` is written anew whenever a job ends.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import yaml

COMMAND = (sys.executable, "-m", "easyedit_ice", "run")
_POLL = 0.1
_TAIL = 8192
"""Bytes at a log's end in which its last line is looked for."""


@dataclass(frozen=True)
class Job:
    """A run.

    Attributes:
        name: folder of the run, below that of all.
        run: overrides of ``easyedit-ice run``.
        env: variables of its environment; one of null is taken out.
        priority: the highest begin first.
    """

    name: str
    run: tuple[str, ...]
    env: Mapping[str, Any] = field(default_factory=dict)
    priority: int = 0


@dataclass
class Outcome:
    """What became of a job.

    Attributes:
        name: of the job.
        state: ``waiting``, ``running``, ``finished``, ``failed``, or ``stopped`` at the end of the time.
        lines: of the run's ledger, those of earlier calls included.
        seconds: that the process took.
        status: its exit status; negative: the signal that ended it; none without an end.
        last: the last line it printed.
    """

    name: str
    state: str = "waiting"
    lines: int = 0
    seconds: float = 0.0
    status: int | None = None
    last: str = ""


def read_jobs(path: Path) -> list[Job]:
    """The jobs of a file, the first to begin first.

    Raises:
        ValueError: it holds no jobs, unknown keys, or two jobs of one name.
    """
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content = {"jobs": content} if isinstance(content, list) else content
    if not isinstance(content, dict) or not content.get("jobs") or content.keys() - {"common", "jobs"}:
        raise ValueError(f"{path} must hold `jobs`, a list, and may hold `common`, overrides of all of them")
    common = _words(content.get("common"))
    jobs = []
    for entry in content["jobs"]:
        if not isinstance(entry, dict) or not entry.get("name") or entry.keys() - {"name", "run", "env", "priority"}:
            raise ValueError(f"{path}: a job has a name, and may have run, env and priority; this is {entry}")
        own = _merged([*common, *_words(entry.get("run"))])
        jobs.append(Job(str(entry["name"]), own, entry.get("env") or {}, int(entry.get("priority") or 0)))
    names = [job.name for job in jobs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{path}: jobs need names of their own, but these occur twice: {', '.join(twice)}")
    return sorted(jobs, key=lambda job: -job.priority)


def side_by_side(
    jobs: Sequence[Job],
    out: Path,
    *,
    processes: int,
    seconds: float,
    grace: float = 10.0,
    command: Sequence[str] = COMMAND,
) -> list[Outcome]:
    """Run jobs until all have ended or the time is up.

    Args:
        jobs: the first begin first.
        out: folder of all; made if it is not there.
        processes: how many at a time.
        seconds: until what still runs is stopped. SIGTERM and Ctrl-C do the same at once.
        grace: seconds that stopped processes have to end by themselves.
        command: that overrides are given to.
    """
    out.mkdir(parents=True, exist_ok=True)
    outcomes = [Outcome(job.name) for job in jobs]
    waiting = list(zip(jobs, outcomes, strict=True))[::-1]
    running: list[_Running] = []
    deadline = time.monotonic() + seconds
    with _stopping() as stopped:
        while waiting or running:
            ended = [process for process in running if process.ended()]
            running = [process for process in running if process not in ended]
            if time.monotonic() > deadline or stopped:
                _stop(running, grace)
                ended, running, waiting = ended + running, [], []
            while waiting and len(running) < processes:
                running.append(_Running(*waiting.pop(), out, command))
            for process in ended:
                print(_line(process.outcome), flush=True)
            if ended:
                _write(out, outcomes)
            time.sleep(_POLL)
    _write(out, outcomes)
    return outcomes


class _Running:
    """A job's process, in a session of its own so that whatever it starts ends with it."""

    def __init__(self, job: Job, outcome: Outcome, out: Path, command: Sequence[str]) -> None:
        given = [word.removeprefix("out=") for word in job.run if word.startswith("out=")]
        self.folder = Path(given[-1]) if given else out / job.name
        self.outcome = outcome
        self._log = out / f"{job.name}.log"
        self._began = time.monotonic()
        self._process: subprocess.Popen[bytes] | None = None
        outcome.state = "running"
        overrides = job.run if given else (*job.run, f"out={self.folder}")
        try:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            with self._log.open("ab") as log:
                self._process = _started([*command, *overrides], _environment(job.env), log)
        except OSError as error:
            outcome.state, outcome.last = "failed", str(error)

    def ended(self) -> bool:
        """Whether it has; its outcome then says how."""
        if self._process is None:
            return True
        status = self._process.poll()
        if status is None:
            return False
        self._end("failed" if status else "finished")
        return True

    def signal(self, number: int) -> None:
        """Send a signal to the process and all it started."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def wait(self, deadline: float) -> None:
        """Let it end by itself until then, and end it."""
        if self._process is None:
            return
        try:
            status = self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            status = self._process.wait()
        self._end("stopped" if status else "finished")

    def _end(self, state: str) -> None:
        self.outcome.state, self.outcome.status = state, self._process.returncode
        self.outcome.seconds = round(time.monotonic() - self._began, 1)
        self.outcome.lines, self.outcome.last = _lines(self.folder / "ledger.jsonl"), _last(self._log)


def _started(command: Sequence[str], environment: Mapping[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
    )


def _stop(running: Sequence[_Running], grace: float) -> None:
    for process in running:
        process.signal(signal.SIGINT)
    deadline = time.monotonic() + grace
    for process in running:
        process.wait(deadline)


@contextmanager
def _stopping() -> Iterator[list[int]]:
    """A list that is no longer empty once this process is to stop."""
    seen: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda number, frame: seen.append(number)) for number in numbers]
    try:
        yield seen
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _environment(own: Mapping[str, Any]) -> dict[str, str]:
    merged = dict(os.environ) | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"} | dict(own)
    return {name: str(value) for name, value in merged.items() if value is not None}


def _words(overrides: str | Sequence[Any] | None) -> tuple[str, ...]:
    return tuple(shlex.split(overrides) if isinstance(overrides, str) else map(str, overrides or ()))


def _merged(overrides: Sequence[str]) -> tuple[str, ...]:
    """The last of each name: Hydra takes no group twice."""
    return tuple({override.partition("=")[0]: override for override in overrides}.values())


def _lines(ledger: Path) -> int:
    try:
        return ledger.read_bytes().count(b"\n")
    except OSError:
        return 0


def _last(log: Path) -> str:
    """The last line with anything on it; bars overwrite their lines."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL))
        lines = file.read().decode(errors="replace").replace("\r", "\n").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _line(outcome: Outcome) -> str:
    return (
        f"{outcome.state:<9}{outcome.name:<36}{outcome.lines:>6} lines{outcome.seconds:>8.1f} s  "
        f"status {outcome.status}  {outcome.last[:120] if outcome.status else ''}"
    ).rstrip()


def _write(out: Path, outcomes: Sequence[Outcome]) -> None:
    partial = out / "summary.json.partial"
    partial.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1) + "\n", encoding="utf-8")
    partial.replace(out / "summary.json")


def main() -> None:
    """Read the command line, run, and exit with 1 if a job failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", type=Path, help="YAML or JSON file of jobs")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="at a time; one for each core")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="until what still runs is stopped")
    parser.add_argument("--grace", type=float, default=10.0, help="seconds that stopped runs have to end by themselves")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of all runs")
    given = parser.parse_args()
    try:
        jobs = read_jobs(given.jobs)
    except (OSError, ValueError, yaml.YAMLError) as error:
        parser.error(str(error))
    outcomes = side_by_side(jobs, given.out, processes=given.processes, seconds=given.seconds, grace=given.grace)
    states = [outcome.state for outcome in outcomes]
    print(", ".join(f"{states.count(state)} {state}" for state in sorted(set(states))))
    sys.exit("failed" in states)


if __name__ == "__main__":
    main()
