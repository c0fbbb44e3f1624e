# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The matrix of test_log_real.py over the journal: one failure, read there and from a file.

Real gunicorns under a real systemd suffer what is done to those of test_log_real.py, and the same
is asserted of what is found (`as_done`). Then the very words of that failure are read from a file
as well: the incidents are the same, each as often and of the same worker.

What differs, and is right:

- `one` is at least one incident for each death, not exactly one. A pipe of 4 KB is empty again at
  once; the socket of journald holds megabytes, so that the arbiter hangs longer, and may be caught
  in the line that follows too.
- `tells`: a journal is read from the arbiter's start on. A file is read from its end until a line
  of the arbiter is met, which after much noise is not its first.
- What a file cannot tell is not provoked here, but in test_journal.py: whose a traceback is where
  several workers write one at once (a file mixes them up), and that a worker speaks with its
  arbiter's prefix (a file believes it, the journal calls it doubtful).
"""

import time

import pytest

from tests.integration.log_support import Venvs, as_done, row, table
from tests.integration.service_support import wait_for
from tests.integration.test_journal import UNLIMITED, Logged
from tests.integration.test_log_real import FULL, cases, chosen

ROWS = []
WORKERS = 8


@pytest.fixture(scope="module", name="venvs")
def _venvs(host):
    venvs = Venvs(host.dir)
    yield venvs
    venvs.close()
    if FULL:
        table(ROWS)


@pytest.fixture(name="fleet")
def _fleet(host):
    fleet = Logged(host)
    yield fleet
    fleet.close()


def treat(fleet, how):
    """Returns who was killed, and how many deaths met an arbiter that hung for certain."""
    arbiter, killed, provoked = fleet.pid(), set(), 0
    if how == "blocked":
        killed.update(fleet.children())
        fleet.jam(" ".join(map(str, killed)))
    elif how == "one":
        for _turn in range(3):
            victim = fleet.children()[-1]
            killed.add(victim)
            provoked += 1
            fleet.jam(victim)
            if fleet.pid() != arbiter:
                break
            wait_for(lambda: not killed & set(now := fleet.children()) and len(now) >= WORKERS)
    elif how == "burst":
        text = fleet.sh(
            f"for turn in $(seq 20); do p=$(cat /proc/{arbiter}/task/{arbiter}/children) || break;"
            " echo $p; kill -KILL $p; sleep 0.1; done",
            check=False,
        )
        killed.update(int(each) for each in text.split())
    return killed, provoked


def settle(fleet, arbiter):
    """How the arbiter ended, or None; all that it wrote has arrived."""
    time.sleep(1.5)
    died = fleet.pid() != arbiter
    if not died:
        wait_for(lambda: len(fleet.children()) >= WORKERS or fleet.pid() != arbiter)
        died = fleet.pid() != arbiter
    fleet.host.run("journalctl", "--sync")
    return int(fleet.host.show(fleet.unit, "ExecMainStatus")) if died else None


def written(fleet):
    """The words of this life alone, as a file."""
    start = fleet.host.show(fleet.unit, "InvocationID")
    fleet.sh(
        "journalctl --output=cat --all _TRANSPORT=stdout"
        f" _SYSTEMD_INVOCATION_ID={start} > {fleet.log}"
    )
    assert "Starting gunicorn" in fleet.log.read_text()
    return str(fleet.log)


def told(result):
    """Each incident, whose it is: what a file and a journal must agree on."""
    return sorted((each["event"], each["worker_pid"] or 0) for each in result["incidents"])


@pytest.mark.parametrize(("gunicorn", "python", "how"), cases())
def test_the_journal_tells_what_a_file_tells(fleet, venvs, gunicorn, python, how):
    python = chosen(python)
    (fleet.home / "venv").symlink_to(venvs.get(gunicorn, python))
    # A line tells its second alone, and one that was begun before is not of this life.
    began = int(time.time())
    fleet.begin(gunicorn, python, workers=WORKERS, more=UNLIMITED + "Restart=no\n")
    arbiter = fleet.pid()
    killed, provoked = treat(fleet, how)
    died = settle(fleet, arbiter)
    options = {"since": str(began), "arbiter_pid": arbiter, "max_excerpts": 0, "cursor": ""}
    journal = fleet.look(**options)
    file = fleet.look(**options, paths=[written(fleet)])
    ROWS.append(row(gunicorn, python, f"journal, {how}", killed, died, journal))

    assert told(journal) == told(file)
    assert (journal["counts"], journal["verdict"]) == (file["counts"], file["verdict"])
    assert journal["doubtful"] == file["doubtful"]
    assert journal["tells"] == "start" and file["tells"] in ("start", "line")
    as_done(gunicorn, how, journal, killed, provoked, died, exact=False)
