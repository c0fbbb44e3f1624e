# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Upstreams as people spread them over files."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx import config, mark
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

MAIN = """
user www-data; worker_processes auto; pid /run/nginx.pid; error_log /var/log/nginx/error.log;
include modules/*.conf;
events { worker_connections 768; }
http {
  log_format timed '$remote_addr "$request" '
                   '$upstream_addr $upstream_status $upstream_response_time';
  access_log /var/log/nginx/access.log;
  # upstream commented { server 10.0.0.9:80; }
  map $http_upgrade $connection_upgrade { default upgrade; '' close; }
  init_by_lua_block { -- upstream lua { server 10.0.0.8:80; }
    x = "}" }
  include conf.d/*.conf;
  include sites/*;
}
"""
FILES = {
    "conf.d/app.conf": """upstream app {
  least_conn;
  keepalive 16;
  include servers/*.conf;
  server 10.0.0.3:8000 backup; server unix:/run/app.sock weight=3 max_fails=0;
}
""",
    "conf.d/hashed.conf": "upstream hashed { ip_hash; server [2001:db8::1]:80; server web2; }",
    "servers/a.conf": "server 10.0.0.1:8000 down; # by hand\n",
    "servers/b.conf": "server 10.0.0.2:8000\n  weight=5\n;\n",
    "servers/.hidden.conf": "server 10.0.0.77:8000;\n",
    "sites/app": """server {
  listen 80; server_name app;
  access_log /var/log/nginx/app.log timed;
  location / { proxy_pass https://app/x; }
  location /other { access_log off; proxy_pass http://hashed; }
  location /direct { proxy_pass http://10.0.0.5:8000; }
  location /by { proxy_pass http://$host; }
}
""",
}


@pytest.fixture
def load(tmp_path):
    def go(files=None, main=MAIN):
        for name, text in {**FILES, **(files or {})}.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        (tmp_path / "nginx.conf").write_text(main)
        return config.load(str(tmp_path / "nginx.conf"))

    return go


def test_all_that_is_included_is_read_and_nothing_else(load, tmp_path):
    found = load()
    assert [up.name for up in found.upstreams] == ["app", "hashed"]
    app = found.upstreams[0]
    assert [line.entry.address for line in app.lines] == [
        "10.0.0.1:8000",
        "10.0.0.2:8000",
        "10.0.0.3:8000",
        "unix:/run/app.sock",
    ]
    assert [(line.entry.down, line.entry.backup) for line in app.lines] == [
        (True, False),
        (False, False),
        (False, True),
        (False, False),
    ]
    assert [line.entry.weight for line in app.lines] == [1, 5, 1, 3]
    assert app.lines[3].entry.max_fails == 0
    assert app.lines[1].path == str(tmp_path / "servers/b.conf") and app.lines[2].line == 5
    assert (app.balance, app.mode, app.scheme) == ("leastconn", "http", "https")
    assert (found.upstreams[1].balance, found.upstreams[1].sticky) == ("ip_hash", "ip_hash")
    assert (found.pid_file, found.error_log) == ("/run/nginx.pid", "/var/log/nginx/error.log")
    assert "10.0.0.5:8000" in found.direct and found.variable
    assert not any("hidden" in path for path in found.texts)


def test_a_variable_in_the_path_leads_nowhere_else(load):
    site = """server { location / { proxy_pass http://app$request_uri; }
      location /x { proxy_pass http://hashed/$1$is_args$args; } }"""
    found = load({"sites/app": site})
    assert not found.variable and found.direct == ()
    for other in ("proxy_pass http://app$host$request_uri", "uwsgi_pass $backend"):
        text = site.replace("proxy_pass http://app$request_uri", other)
        assert load({"sites/app": text}).variable


def test_which_log_has_the_requests_of_an_upstream(load):
    found = load()
    assert found.logs["app"] == ((("/var/log/nginx/app.log", "timed"),),)
    assert found.logs["hashed"] == ((),), "it is switched off there"
    assert "".join(found.formats["timed"]).startswith('$remote_addr "$request" $upstream_addr')


def test_names_are_hosts_and_whole_addresses_where_two_have_the_same(load):
    found = load()
    app = found.upstreams[0]
    assert config.names(app.lines, False) == [
        "10.0.0.1",
        "10.0.0.2",
        "10.0.0.3",
        "unix:/run/app.sock",
    ]
    assert config.names(found.upstreams[1].lines, False) == ["[2001:db8::1]", "web2"]
    twice = load({"servers/b.conf": "server 10.0.0.1:8001;"}).upstreams[0]
    assert config.names(twice.lines, False)[:2] == ["10.0.0.1:8000", "10.0.0.1:8001"]
    assert config.names(app.lines, True)[1] == "10.0.0.2:8000"
    assert config.goes_by_whole(found, ["10.0.0.1:8000"])
    assert not config.goes_by_whole(found, ["10.0.0.1", "web2", "unix:/run/app.sock"])


def test_an_upstream_of_a_stream_is_told_from_one_of_http(load):
    main = MAIN + "stream { upstream tcp { server 10.0.0.1:5432; } }"
    found = load(main=main)
    assert [(up.name, up.mode, up.scheme) for up in found.upstreams][-1] == ("tcp", "tcp", "tcp")
    with pytest.raises(FleetError, match="one in `stream`"):
        config.find(load(main=main.replace("upstream tcp", "upstream app")), "app")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"sites/loop": "include sites/loop;"}, "includes itself"),
        ({"sites/app": "include nowhere.conf;"}, "cannot be read: No such file"),
        ({"sites/app": "server {"}, "sites/app, line 1: a block has no end"),
        ({"sites/app": "upstream app { server a; }"}, "is there twice"),
    ],
)
def test_what_cannot_be_read_is_told(load, files, words):
    with pytest.raises(FleetError, match=words):
        load(files)


def test_a_name_that_is_no_upstream_says_which_there_are(load):
    with pytest.raises(FleetError, match="which has: app, hashed"):
        config.find(load(), "api")


def test_somebody_elses_text_is_the_same_whatever_we_did_to_it(load, tmp_path):
    found = load()
    [line] = [one for one in found.upstreams[0].lines if one.entry.address == "10.0.0.2:8000"]
    text = found.texts[line.path]
    out = mark.spliced(text, mark.splices(text, line.directive, True, 2))
    after = load({"servers/b.conf": out})
    assert config.states(after) != config.states(found)
    assert config.digests(after) == config.digests(found)
    other = load({"servers/b.conf": out.replace("8000", "8001")})
    assert config.digests(other) != config.digests(found)
