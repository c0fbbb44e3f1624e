# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import json

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.config_values import (
    UNKNOWN,
    read_values,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.settings import (
    configured,
    hiding,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import Reader

QUIET = {
    "version": 1,
    "handlers": {"file": {"class": "logging.FileHandler", "filename": "x"}},
    "loggers": {"gunicorn.error": {"level": "WARNING", "handlers": ["file"]}},
}
INI = """
[loggers]
keys=root, theirs
[logger_root]
level=INFO
[logger_theirs]
qualname=gunicorn.error
level=%s
handlers=file
[handler_file]
level=%s
"""


def ask(root, arguments="wsgi:app", environ=None, **files):
    for name, text in files.items():
        path = (
            root / "srv/app" / name.replace("__", "/").replace("_py", ".py").replace("_ini", ".ini")
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    reader = Reader(str(root))
    cmdline = ["/venv/bin/python", "/venv/bin/gunicorn", *arguments.split()]
    places = ["/srv/app", "/srv/app/src"]
    settings = configured(reader, cmdline, environ or {}, None, places)
    return settings, hiding(reader, settings, places)


@pytest.mark.parametrize(
    "given, where",
    [
        ({"arguments": "--log-level warning wsgi:app"}, "--log-level on the command line"),
        ({"arguments": "--log-level=ERROR wsgi:app"}, "--log-level on the command line"),
        (
            {"environ": {"GUNICORN_CMD_ARGS": "--log-level critical"}},
            "--log-level in GUNICORN_CMD_ARGS",
        ),
        ({"gunicorn.conf_py": "loglevel = 'warning'"}, "loglevel in /srv/app/gunicorn.conf.py"),
        (
            {"arguments": "-c conf/g.py x", "conf__g_py": "loglevel = 'warning'"},
            "loglevel in /srv/app/conf/g.py",
        ),
        (
            {
                "gunicorn.conf_py": "import os\nloglevel = os.environ.get('LEVEL', 'info')",
                "environ": {"LEVEL": "warning"},
            },
            "loglevel in /srv/app/gunicorn.conf.py",
        ),
        (
            {"arguments": "--log-config l.ini x", "l_ini": INI % ("WARNING", "NOTSET")},
            "--log-config on the command line",
        ),
        (
            {"arguments": "--log-config l.ini x", "l_ini": INI % ("INFO", "ERROR")},
            "--log-config on the command line",
        ),
        (
            {"gunicorn.conf_py": f"logconfig_dict = {QUIET!r}"},
            "logconfig_dict in /srv/app/gunicorn.conf.py",
        ),
        (
            {"arguments": "--log-config-json l.json x", "l.json": json.dumps(QUIET)},
            "--log-config-json on the command line",
        ),
    ],
)
def test_what_hides_the_start_is_found_with_its_place(tmp_path, given, where):
    _settings, hides = ask(tmp_path, **given)
    assert hides is not None
    assert hides.where == where


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"arguments": "--log-level debug x"},
        {"arguments": "--log-level info x", "gunicorn.conf_py": "loglevel = 'error'"},
        {
            "arguments": "--log-level info x",
            "environ": {"GUNICORN_CMD_ARGS": "--log-level error"},
        },
        {
            "environ": {"GUNICORN_CMD_ARGS": "--log-level info"},
            "gunicorn.conf_py": "loglevel = 'error'",
        },
        {"gunicorn.conf_py": "loglevel = choose()"},
        {"gunicorn.conf_py": "loglevel = 'error'\nif debug:\n    loglevel = 'info'"},
        {"arguments": "--log-config l.ini x", "l_ini": INI % ("INFO", "NOTSET")},
        {"gunicorn.conf_py": "loglevel = 'error'\nlogconfig_dict = make()"},
        {"gunicorn.conf_py": "this is no Python"},
    ],
)
def test_nothing_is_hidden_or_known_to_be(tmp_path, given):
    assert ask(tmp_path, **given)[1] is None


def test_a_plain_access_log_is_known(tmp_path):
    settings, _hides = ask(tmp_path, **{"gunicorn.conf_py": "accesslog = 'log/' + 'access.log'"})
    assert settings["accesslog"].value == "log/access.log"


@pytest.mark.parametrize(
    "text, value",
    [
        ("x = 'a'", "a"),
        ("y = 'a'\nx = y + 'b'", "ab"),
        ("x = os.environ['V']", "v"),
        ("x = os.getenv('V')", "v"),
        ("x = getenv('N')", None),
        ("x = os.environ.get('N') or 'd'", "d"),
        ("x = os.environ.get('V').lower()", UNKNOWN),
        ("for x in 'ab': pass\nx = f()", UNKNOWN),
        ("x, y = 'a', 'b'", UNKNOWN),
    ],
)
def test_values_that_need_no_running(text, value):
    assert read_values(text, ["x"], {"V": "v"}) == {"x": value}


def test_what_is_not_set_is_not_there():
    assert read_values("y = 1", ["x"], {}) == {}
    assert read_values("(" * 5000, ["x"], {}) == {}
