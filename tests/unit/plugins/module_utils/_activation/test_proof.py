# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a new generation must show, and how long."""

import os

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation import evidence

from tests.unit.plugins.module_utils._activation.paper_activation import NEW, OLD, running_old


@pytest.fixture
def world(tmp_path):
    return running_old(tmp_path)


def unproved(world, text, **more):
    with pytest.raises(evidence.Evidence, match=text) as caught:
        world.activate(**more)
    assert world.link() == f"releases/{NEW}"
    assert caught.value.details["previous"] == OLD
    assert caught.value.details["evidence"]["log"] == ["the Stdout log"]
    assert world.done() == ["stop", "start"]
    return caught.value


def test_a_generation_that_backs_off_fails_at_once(world):
    def boots():
        world.state = "BACKOFF"

    world.boots = boots
    begin = world.now
    unproved(world, "did not stay up: supervisord calls the program BACKOFF")
    assert world.now - begin < 1


def test_a_generation_that_dies_while_watched_fails(world):
    def boots():
        world.run_release(NEW, 200)

        def again():
            world.vanish(200, 201, 202)
            world.run_release(NEW, 300)

        world.after(0.4, again)

    world.boots = boots
    unproved(world, r"\(200\) did not stay up: .* again, as process 300")


def test_a_death_after_the_watch_is_for_the_gate_to_find(world):
    def boots():
        world.run_release(NEW, 200)
        world.after(2, lambda: world.run_release(NEW, 300))

    world.boots = boots
    assert world.activate()["changed"]


def test_without_a_url_the_watch_is_longer(world):
    def boots():
        world.run_release(NEW, 200)
        world.after(1.5, lambda: world.run_release(NEW, 300))

    world.boots = boots
    unproved(world, "as process 300", url=None)


def test_another_release_than_wanted_fails(world):
    world.boots = lambda: world.run_release(OLD, 200)
    unproved(world, f"runs from .*{OLD}, not from .*{NEW}")


def test_a_missing_worker_fails_in_the_end(world):
    world.boots = lambda: world.run_release(NEW, 200, workers=1)
    unproved(world, "not proved within 5 s: arbiter 200 has 1 of 2 workers")


def test_a_missing_address_fails_in_the_end(world):
    def boots():
        world.run_release(NEW, 200)
        world.listening[:] = []
        world.listen(8001, 77)
        world.write_net()

    world.boots = boots
    unproved(world, "does not listen on 127.0.0.1:8000 as the one before did")


def test_a_page_that_fails_fails(world):
    world.status = 500
    unproved(world, "http://h:80/x answered with status 500")


def test_a_page_that_does_not_answer_fails(world):
    world.status = 0
    unproved(world, "did not answer: why")


def test_an_orphan_beside_the_new_generation_fails(world):
    def boots():
        world.run_release(NEW, 200)
        world.process(400, 1, f"{world.home}/venv/bin/python {world.home}/venv/bin/gunicorn a")

    world.boots = boots
    unproved(world, "orphan 400 of an earlier generation still runs")


def test_a_young_generation_is_proved_rather_than_restarted(world):
    """A run that was killed after its start left it; it has no workers yet."""
    world.vanish(20, 21, 22)
    world.listening.clear()
    os.unlink(str(world.home / "venv"))
    os.symlink(f"releases/{NEW}", str(world.home / "venv"))
    world.run_release(NEW, 200, workers=1)
    world.after(1, lambda: world.process(
        202, 200, f"{world.home}/releases/{NEW}/bin/python {world.home}/venv/bin/gunicorn -w 2 app",
        sockets=[77]))  # fmt: skip
    # It was started at tick 1000, that is 10 s after the boot 500 s ago.
    result = world.activate(start_timeout=600)
    assert (result["changed"], world.log) == (False, [])
