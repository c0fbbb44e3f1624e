# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that are whole or absent, in a real directory."""

import fcntl
import os

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state import directory as state
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.directory import (
    StateDirectory,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.document import Unbelievable


@pytest.fixture
def place(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def box(place):
    with StateDirectory(str(place), private=True).locked(create=True) as opened:
        yield opened


def test_it_is_made_with_modes_of_its_own(place, tmp_path):
    before = os.umask(0)
    try:
        with StateDirectory(str(place), private=True).opened(create=True) as box:
            box.write("a", b"x")
        os.umask(0o077)
        with StateDirectory(str(tmp_path / "public"), private=False).opened(create=True) as box:
            box.write("a", b"x")
    finally:
        os.umask(before)
    modes = [
        oct(path.stat().st_mode & 0o777)
        for path in (place, place / "a", tmp_path / "public", tmp_path / "public" / "a")
    ]
    assert modes == ["0o700", "0o600", "0o755", "0o644"]


def test_what_is_not_there_is_not_made_for_a_look(place):
    with StateDirectory(str(place), private=True).opened() as box:
        assert box is None
    with StateDirectory(str(place), private=True).locked() as box:
        assert box is None
    assert not place.exists()


@pytest.mark.parametrize(
    ("private", "mode", "refused"),
    [
        (True, 0o700, False),
        (True, 0o750, True),
        (True, 0o701, True),
        (False, 0o755, False),
        (False, 0o775, True),
        (False, 0o1777, True),
    ],
)
def test_who_may_get_at_it(place, private, mode, refused):
    place.mkdir()
    place.chmod(mode)
    directory = StateDirectory(str(place), private)
    if not refused:
        with directory.opened() as box:
            assert box
        return
    with pytest.raises(FleetError, match=f"mode {mode:04o}"), directory.opened():
        pass
    assert place.stat().st_mode & 0o7777 == mode, "a directory of others is not changed"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
@pytest.mark.parametrize("private", [True, False])
def test_of_another_user_it_is_refused(place, private):
    place.mkdir(mode=0o700)
    os.chown(str(place), 12345, 12345)
    directory = StateDirectory(str(place), private)
    with pytest.raises(FleetError, match="belongs to uid 12345"), directory.opened():
        pass


@pytest.mark.parametrize("private", [True, False])
def test_a_symbolic_link_is_not_followed(place, tmp_path, private):
    (tmp_path / "real").mkdir(mode=0o700)
    place.symlink_to(tmp_path / "real")
    for path in (str(place), str(place) + "/"):
        directory = StateDirectory(path, private)
        with pytest.raises(FleetError, match="not followed"), directory.locked(create=True):
            pass


def test_a_relative_path_is_refused():
    with pytest.raises(FleetError, match="absolute"):
        StateDirectory("state", private=True)


def test_of_many_who_create_one_succeeds(box):
    assert box.create("a", b"first")
    assert not box.create("a", b"second")
    assert box.read("a") == b"first"


def test_a_file_is_replaced_as_a_whole_or_not_at_all(box, place, monkeypatch):
    box.write("a", b"one")

    def full(*_args):
        raise OSError("full")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="full"):
        patch.setattr(state.os, "fsync", full)
        box.write("a", b"two")
    assert box.read("a") == b"one"
    assert [path.name for path in place.iterdir()] == ["a"], "nothing temporary is left"


def test_what_a_killed_process_left_is_swept_later(box, place):
    for name, age in ((".tmp-1-old", 3600), (".tmp-2-new", 0)):
        (place / name).write_text("half")
        moment = state.time.time() - age
        os.utime(str(place / name), (moment, moment))
    box.write("a", b"x")
    assert sorted(path.name for path in place.iterdir()) == [".tmp-2-new", "a"]


def test_a_link_in_the_place_of_a_file_is_not_followed(place, tmp_path):
    (tmp_path / "secret").write_text("secret")
    directory = StateDirectory(str(place), private=True)
    with directory.opened(create=True):
        pass
    (place / "a").symlink_to(tmp_path / "secret")
    with pytest.raises(FleetError), directory.opened() as box:
        box.read("a")
    (place / "b").mkdir()
    with pytest.raises(FleetError), directory.opened() as box:
        box.read("b")
    with directory.opened() as box:
        box.write("a", b"ours")
    assert (tmp_path / "secret").read_text() == "secret"


def test_a_log_is_bounded_and_keeps_the_newest_whole_lines(box):
    for number in range(200):
        box.append("log", b"line %d" % number, 200)
        content = box.read("log")
        assert len(content) <= 200
        assert content.endswith(b"line %d\n" % number)
        assert content.startswith(b"line ")
    box.append("log", b"y" * 500, 200)
    assert box.read("log", 200) == b"y" * 199 + b"\n"


def test_a_line_follows_on_half_a_line_and_on_a_log_that_is_not_ours(box):
    box.write("log", b"half")
    box.append("log", b"whole", 200)
    assert box.read("log") == b"half\nwhole\n"
    box.write("log", b"x" * 500)
    box.append("log", b"whole", 200)
    assert box.read("log") == b"whole\n"


def test_what_could_not_be_read_again_is_not_written(box, place):
    box.write("a", b"one")
    with pytest.raises(FleetError, match="not written: 11 bytes, of 10 at most"):
        box.write("a", b"x" * 11, 10)
    assert box.read("a") == b"one"
    assert [path.name for path in place.iterdir()] == ["a"]


def test_half_of_a_file_is_not_taken_for_the_whole(box):
    box.write("a", b"x" * 11, 11)
    with pytest.raises(Unbelievable, match="larger than 10 bytes"):
        box.read("a", 10)
    assert box.read("a", 11) == b"x" * 11


def test_one_at_a_time_and_a_wait_that_ends(place):
    now = [0.0]

    def sleep(seconds):
        now[0] += seconds

    directory = StateDirectory(str(place), True, lambda: now[0], sleep)
    with directory.locked(create=True):
        with pytest.raises(FleetError, match="Another process.*fuser"), directory.locked():
            pass
        assert 30 <= now[0] < 31
    with directory.locked():
        pass


def test_the_lock_goes_although_a_forked_process_still_has_it_open(place):
    directory = StateDirectory(str(place), True)
    with directory.locked(create=True) as box:
        held = os.dup(box.handle)
    other = os.open(str(place), os.O_RDONLY)
    try:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(other)
        os.close(held)


def test_a_full_disk_is_told_in_words(place, monkeypatch):
    def full(*_args, **_more):
        raise OSError(28, "No space left on device")

    directory = StateDirectory(str(place), True)
    made = directory.opened(create=True)
    with pytest.raises(FleetError, match="No space left.*Make room"), made as box:
        monkeypatch.setattr(state.os, "fsync", full)
        box.write("a", b"x")


def test_who_may_only_read_cannot_keep_the_others_out(place):
    """Any local user can open a directory that others may read, and hold its lock for ever."""
    directory = StateDirectory(str(place), private=False)
    with directory.locked(create=True):
        pass
    stranger = os.open(str(place), os.O_RDONLY)
    try:
        fcntl.flock(stranger, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with directory.locked(timeout=0) as box:
            assert box
        assert os.stat(str(place / ".alone")).st_mode & 0o777 == 0o600
    finally:
        os.close(stranger)


def test_one_at_a_time_where_others_may_read(place):
    directory = StateDirectory(str(place), False)
    again = directory.locked(timeout=0)
    with directory.locked(create=True), pytest.raises(FleetError, match="Another process"), again:
        pass
    with directory.locked(timeout=0):
        pass


def test_who_may_only_read_is_not_refused(place, monkeypatch):
    directory = StateDirectory(str(place), private=False)
    with directory.opened(create=True) as box:
        box.write("a", b"x")
    really = state.os.open

    def refused(path, flags, *more, **where):
        if flags & os.O_CREAT:
            raise OSError(13, "Permission denied")
        return really(path, flags, *more, **where)

    monkeypatch.setattr(state.os, "open", refused)
    with directory.locked() as box:
        assert box.read("a") == b"x"


def test_a_link_in_the_place_of_the_lock_is_not_followed(place, tmp_path):
    (tmp_path / "secret").write_text("secret")
    place.mkdir(mode=0o755)
    (place / ".alone").symlink_to(tmp_path / "secret")
    with pytest.raises(FleetError), StateDirectory(str(place), False).locked():
        pass
