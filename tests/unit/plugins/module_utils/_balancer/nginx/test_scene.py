# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one nginx is to a drain, from files and processes on paper."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.connections import Process
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx import (
    config,
    running,
    scene,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.control import (
    Sight,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.processes import (
    Workers,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.shape import (
    available,
    parse_need,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

MASTER = Process(7, "nginx", "S", 1, 100)
OURS = " down; # fleetops.gunicorn: down\n"


def look(tmp_path, *servers, more="", states=None, changed=(), passes="proxy_pass http://app;"):
    lines = "".join(f"server {each}\n" if "#" in each else f"server {each};\n" for each in servers)
    text = f"http {{ upstream app {{ {more} {lines} }} server {{ location / {{ {passes} }} }} }}"
    path = tmp_path / "nginx.conf"
    path.write_text(text)
    found = config.load(str(path))
    runs = running.Running(list(changed), config.states(found) if states is None else states)
    return Sight(found, Workers(MASTER, (MASTER,), ()), runs, {})


def view(sight, ill=(), **more):
    asked = []

    def probe(whom):
        asked.extend(address for _scheme, address in whom)
        return {each: scene.Answer("DOWN" if each[1] in ill else "UP", "HTTP 200") for each in whom}

    found = scene.view(sight, ["app"], ["a"], probe, **more)
    return found, asked


def test_what_is_down_is_out_and_not_asked(tmp_path):
    found, asked = view(look(tmp_path, "a:1 down", "b:1 weight=3", "c:1 backup"), ill=("b:1",))
    rows = {row.server.server: row.server for row in found.rows}
    assert asked == ["b:1", "c:1"]
    assert [rows[name].status for name in "abc"] == ["MAINT", "DOWN", "UP"]
    assert [rows[name].weight for name in "abc"] == [0, 3, 1]
    assert rows["c"].backup and rows["a"].admin == "maint"


def test_what_runs_counts_and_not_what_the_files_say(tmp_path):
    filed = look(tmp_path, "a:1" + OURS, "b:1", states={"app\0a:1": (False, 1)})
    [row] = view(filed)[0].mine("a")
    assert (row.server.admin, row.server.status, row.filed_down) == ("ready", "UP", True)
    assert row.server.own == "maint", "a run was killed before the reload: it is to be put back"
    rewritten = look(tmp_path, "a:1", "b:1", states={"app\0a:1": (True, 1)})
    [row] = view(rewritten)[0].mine("a")
    assert (row.server.admin, row.server.own, row.filed_down) == ("maint", "maint", False)


@pytest.mark.parametrize(
    ("servers", "own"), [(["a:1" + OURS, "b:1"], "ready"), (["a:1 down", "b:1"], "maint")]
)
def test_whose_hand_it_was_is_told_by_the_comment(tmp_path, servers, own):
    assert view(look(tmp_path, *servers))[0].memory("a")["app"].own == own


@pytest.mark.parametrize(
    ("servers", "words"),
    [
        (["a:1"], "has no other server"),
        (["a:1", "b:1 down"], "down or backups"),
        (["a:1", "b:1 backup", "c:1 down"], "down or backups"),
        (["a:1 max_fails=0", "b:1"], "max_fails=0"),
    ],
)
def test_what_nginx_cannot_do(tmp_path, servers, words):
    [text] = scene.obstacles(view(look(tmp_path, *servers))[0], "a")
    assert words in text and "nginx.conf, line 1" in text
    assert scene.obstacles(view(look(tmp_path, "a:1" + OURS, *servers[1:]))[0], "a") == []


def test_who_else_is_up(tmp_path):
    found, _asked = view(look(tmp_path, "a:1", "b:1", "c:1", "d:1 backup"), ill=("b:1",))
    others = available(found.picture.backend("app"), "a", parse_need("2"))
    assert others.up == ["c"] and others.total == 3 and not others.enough


def test_of_many_only_those_that_are_asked_about_are_probed(tmp_path):
    sight = look(tmp_path, "a:1", "b:1", "c:1")
    assert view(sight, most=2)[1] == ["a:1"]
    assert view(sight, most=3)[1] == ["a:1", "b:1", "c:1"]


def test_a_name_that_is_not_there_says_which_are(tmp_path):
    with pytest.raises(FleetError, match="which has: a, b"):
        view(look(tmp_path, "a:1", "b:1"))[0].mine("10.0.0.1")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"more": "ip_hash;"}, "binds users to servers (ip_hash)"),
        ({"passes": "uwsgi_pass app;"}, "speaks uwsgi"),
        ({"passes": "proxy_pass http://app; proxy_pass http://a:1;"}, "past every upstream"),
        ({"passes": "proxy_pass http://app; proxy_pass $where;"}, "has a variable"),
        ({"changed": ["/etc/nginx/nginx.conf"]}, "not what runs"),
    ],
)
def test_what_nginx_itself_would_do(tmp_path, more, words):
    found, _asked = view(look(tmp_path, "a:1", "b:1", **more))
    told = scene.hazards(found, found.picture.mine("a"))
    assert [text for text in told if words in text], told
    plain, _asked = view(look(tmp_path, "a:1", "b:1"))
    assert scene.hazards(plain, plain.picture.mine("a")) == []
