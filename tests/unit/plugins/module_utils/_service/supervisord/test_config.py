# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import re

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import Reader
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.supervisord import config

parse = config.parse_supervisor_config


def test_the_section_of_a_program_is_found_in_any_of_the_files():
    texts = ["[supervisord]\n", "rubbish", "[program:app]\ncommand=x ; y\nstopasgroup=true ; why\n"]
    found = parse(texts, "app", "app")
    assert found == {"command": "x", "stopasgroup": "true"}
    assert parse(texts, "app", "app_00") == found
    assert parse(texts, "other", "other") == {}


NUMBERED = """
[program:app]
command=%(ENV_TOP)s/venv/bin/gunicorn -b :81%(process_num)02d
process_name=%(program_name)s_%(process_num)02d
numprocs=2
numprocs_start=5
stopasgroup=true
[program:api]
command=y
process_name=%(group_name)s-%(program_name)s
[group:web]
programs=app, api
[program:lone]
environment=SIDE="left, or right",PORT="9"
command=z --port %(ENV_PORT)s
process_name=%(ENV_SIDE)s
"""


@pytest.mark.parametrize(
    "group, name, setting, value",
    [
        ("web", "app_05", "stopasgroup", "true"),
        ("web", "app_06", "command", "/srv/venv/bin/gunicorn -b :8106"),
        ("web", "web-api", "command", "y"),
        ("lone", "left, or right", "command", "z --port 9"),
    ],
)
def test_a_process_is_found_by_what_its_name_is_made_of(group, name, setting, value):
    assert parse([NUMBERED], group, name, {"ENV_TOP": "/srv"})[setting] == value


@pytest.mark.parametrize("group, name", [("web", "app_04"), ("app", "app_05"), ("web", "app")])
def test_no_other_process_is_taken_for_it(group, name):
    assert parse([NUMBERED], group, name, {"ENV_TOP": "/srv"}) == {}


def test_what_cannot_be_expanded_is_unknown_and_no_default(tmp_path):
    section = config.find_section(_parsed(NUMBERED), "web", "app_05", {})
    assert section.settings["command"] is None
    assert section.settings["stopasgroup"] == "true"
    assert section.why == "in [program:app], command cannot be expanded"


def _parsed(text):
    parser = config._parser()
    parser.read_string(text)
    return parser


class Place:
    """A supervisord of paper, and its files."""

    def __init__(self, root, cmdline, environ=""):
        self.root = root
        self.write("/proc/10/cmdline", cmdline.replace(" ", "\0"))
        self.write("/proc/10/environ", environ.replace(" ", "\0"))
        (root / "proc/10/cwd").symlink_to("/run")

    def write(self, path, text):
        file = self.root / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def read(self, group="web", name="app_05"):
        return config.read_section(Reader(str(self.root)), 10, group, name)


@pytest.mark.parametrize("spelling", ["-c ", "-nc ", "-c", "--configuration=", "--conf "])
def test_the_include_is_expanded_with_the_environment_of_supervisord(tmp_path, spelling):
    place = Place(tmp_path, f"python supervisord {spelling}/etc/s.conf", "TOP=/srv A=b")
    place.write("/etc/s.conf", "[include]\nfiles=%(here)s/none/*.ini %(ENV_TOP)s/conf/*.ini\n")
    place.write("/srv/conf/web.ini", NUMBERED)
    assert place.read() == (
        {
            "command": "/srv/venv/bin/gunicorn -b :8105",
            "process_name": "app_05",
            "numprocs": "2",
            "numprocs_start": "5",
            "stopasgroup": "true",
        },
        "",
    )


def test_here_is_the_directory_of_each_file(tmp_path):
    place = Place(tmp_path, "python supervisord -c /etc/s.conf")
    place.write("/etc/s.conf", "[include]\nfiles=more/*.ini\n")
    place.write("/etc/more/web.ini", "[program:app]\ncommand=%(here)s/run.sh\n")
    assert place.read("app", "app").settings["command"] == "/etc/more/run.sh"


@pytest.mark.parametrize(
    "files, why",
    [
        ({}, r"/etc/s.conf\) cannot be read"),
        ({"/etc/s.conf": "no ini"}, "/etc/s.conf cannot be understood"),
        ({"/etc/s.conf": "[include]\nfiles=%(ENV_NO)s/x"}, r"files of \[include\] in /etc/s.conf"),
        ({"/etc/s.conf": "[supervisord]\n"}, "makes a process of that name"),
    ],
)
def test_why_nothing_is_known_is_told(tmp_path, files, why):
    place = Place(tmp_path, "python supervisord -c /etc/s.conf")
    for path, text in files.items():
        place.write(path, text)
    found = place.read()
    assert found.settings == {}
    assert re.search(why, found.why), found.why


STARTS = """
[supervisord]
environment=TOP="/srv",BOTH=below
[program:app]
command=%(ENV_TOP)s/venv/bin/gunicorn  -b :81%(process_num)02d -e API_TOKEN=hunter22 app
process_name=%(program_name)s_%(process_num)02d
numprocs=2
environment=BOTH="above",NUMBER="%(process_num)d",PASSWORD="of the program"
[program:one]
command=gunicorn same
environment=A="1"
[program:two]
command=gunicorn same
environment=A="2"
[program:riddle]
command=gunicorn riddle
environment=A="%(ENV_NOBODY)s"
"""


def start_of(told):
    parser = config._parser()
    parser.read_string(STARTS)
    return config.find_start(parser, told, {})


def test_a_start_is_known_by_its_command_as_it_is_told():
    """What a process has written over its own environment (setproctitle) stands here."""
    told = "/srv/venv/bin/gunicorn -b :8101 -e API_TOKEN=*** app"
    assert start_of(told) == (
        "/srv/venv/bin/gunicorn  -b :8101 -e API_TOKEN=hunter22 app",
        {"TOP": "/srv", "BOTH": "above", "NUMBER": "1", "PASSWORD": "of the program"},
    )


@pytest.mark.parametrize("told", ["gunicorn same", "gunicorn riddle", "gunicorn other", ""])
def test_a_start_that_is_not_one_thing_is_not_told(told):
    assert start_of(told) is None
