# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether what the files say is what runs."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx import running
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.processes import (
    Generation,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.document import Unbelievable

FIRST, SECOND = Generation(7, 100, 200), Generation(7, 100, 900)
IN, OUT = {"app\0a": (False, 1)}, {"app\0a": (True, 1)}
RECORD = running.Record("boot", FIRST, {"/c": "1"}, OUT)


def judge(record=RECORD, generation=FIRST, boot="boot", digests=None, states=None, written=50.0):
    return running.judge(
        record, boot, generation, 60.0, digests or {"/c": "1"}, states or OUT, {"/c": written}
    )


def test_what_was_loaded_last_runs_as_long_as_its_workers_do():
    found = judge(written=1000.0)
    assert found == running.Running([], OUT), "our own writing is younger than the workers"


def test_what_somebody_changed_since_does_not_run():
    assert judge(digests={"/c": "2"}) == running.Running(["/c"], OUT)
    assert judge(digests={"/c": "1", "/d": "3"}).changed == ["/d"]
    assert judge(digests={"/d": "1"}).changed == ["/c", "/d"]


def test_what_we_wrote_and_did_not_load_does_not_run():
    assert judge(states=IN) == running.Running([], OUT)


@pytest.mark.parametrize("other", [{"generation": SECOND}, {"boot": "another"}, {"record": None}])
def test_without_a_record_of_this_generation_what_is_older_than_it_runs(other):
    assert judge(**other, states=IN) == running.Running([], IN)
    assert judge(**other, states=IN, written=70.0).changed == ["/c"]
    assert judge(**other, states=IN, written=60.01).changed == [], "within a tick"


def test_a_record_is_whole_or_not_believed():
    content = running.dump(RECORD)
    assert running.parse(content) == RECORD
    for wrong in (
        content[:-9],
        content.replace(b"[7, 100, 200]", b"[7, 100]"),
        content.replace(b"[7, 100, 200]", b'[7, 100, "x"]'),
        b"{}",
    ):
        with pytest.raises(Unbelievable):
            running.parse(wrong)
