# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a trial must not do to what is live, by the file that its gunicorn is given."""

import os
import subprocess
import sys
import textwrap

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.trial_config import (
    LOGS,
    NAME,
    split_config,
    trial_config,
)


@pytest.mark.parametrize(
    "arguments, location, kept",
    [
        ("app:app", None, "app:app"),
        ("-c conf/g.py app:app", "conf/g.py", "app:app"),
        ("-cconf/g.py app:app", "conf/g.py", "app:app"),
        ("-c=g.py app:app", "g.py", "app:app"),
        ("--config conf/g.py --chdir src app:app", "conf/g.py", "--chdir src app:app"),
        ("--config=python:conf.g app", "python:conf.g", "app"),
        ("--conf a.py -c b.py app", "b.py", "app"),
        ("--config-x a.py --con b app", None, "--config-x a.py --con b app"),
        ("-c a.py -- -c b", "a.py", "-- -c b"),
        ("--chdir -c", None, "--chdir"),
    ],
)
def test_the_configuration_file_of_the_arguments(arguments, location, kept):
    assert split_config(arguments.split()) == (location, kept.split())


def run(tmp_path, code, location="conf.py", config=""):
    """Load the trial's file as gunicorn does, in a process of its own; what it printed."""
    if config is not None and location.endswith(".py"):
        (tmp_path / location).write_text(textwrap.dedent(config))
    scratch = tmp_path / "scratch"
    (scratch / LOGS).mkdir(parents=True)
    (scratch / NAME).write_text(trial_config(location, str(scratch)))
    program = f"""
import importlib.util, logging, logging.handlers, os, sys
spec = importlib.util.spec_from_file_location("__config__", {str(scratch / NAME)!r})
module = importlib.util.module_from_spec(spec)
sys.modules["__config__"] = module
spec.loader.exec_module(module)
names = vars(module)
{textwrap.dedent(code)}
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=str(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.stdout.decode().strip()


def test_what_the_programs_file_sets_holds_in_the_trial(tmp_path):
    config = """
        import os
        workers = 3
        here = os.path.basename(__file__)
        def on_starting(server): return here
        import __config__
        chdir = "src" if __config__.workers == 3 else ""
    """
    code = "print(names['workers'], names['here'], names['chdir'], names['on_starting'](None))"
    assert run(tmp_path, code, config=config) == "3 conf.py src conf.py"


@pytest.mark.parametrize("location", ["file:conf.py", "python:conf", "conf.txt", ""])
def test_every_way_to_name_the_file(tmp_path, location):
    for name in ("conf.py", "conf.txt", "gunicorn.conf.py"):
        (tmp_path / name).write_text("threads = 7\n")
    code = "print(names['threads'])"
    assert run(tmp_path, "sys.path\n" + code, location=location, config=None).endswith("7")


def test_no_file_is_no_error_and_a_missing_one_is(tmp_path):
    assert run(tmp_path, "print('fine')", location="", config=None) == "fine"
    (tmp_path / "scratch" / LOGS).rmdir()
    assert "'nowhere.cfg' doesn't exist" in run(tmp_path, "", location="nowhere.cfg", config=None)


def test_names_of_the_programs_file_are_its_own(tmp_path):
    config = "os = errno = logging = itertools = importlib = sys = 'mine'\nbacklog = 5\n"
    code = "logging.FileHandler('live.log').close(); print(names['os'], names['backlog'])"
    assert run(tmp_path, code, config=config) == "mine 5"


def test_nothing_is_sent_to_statsd_or_syslog(tmp_path):
    config = "statsd_host = '127.0.0.1:8125'\nsyslog = True\n"
    code = "print(names['statsd_host'], names['syslog'])"
    assert run(tmp_path, code, config=config) == "None False"


def test_metrics_of_several_processes_go_into_the_scratch_directory(tmp_path):
    config = """
        import os
        os.environ["prometheus_multiproc_dir"] = "/live"
        raw_env = ["A=1", "PROMETHEUS_MULTIPROC_DIR=/live"]
    """
    code = "print(os.environ['prometheus_multiproc_dir'], names['raw_env'])"
    told = run(tmp_path, code, config=config)
    assert told == "{0} ['A=1', 'PROMETHEUS_MULTIPROC_DIR={0}']".format(tmp_path / "scratch")


@pytest.mark.parametrize(
    "handler",
    [
        "logging.FileHandler('live.log')",
        "logging.FileHandler(filename='live.log', mode='w')",
        "logging.handlers.WatchedFileHandler('live.log')",
        "logging.handlers.RotatingFileHandler('live.log', maxBytes=10, backupCount=3)",
        "logging.handlers.TimedRotatingFileHandler('live.log', 'S')",
        "logging.FileHandler('live.log', delay=True)",
    ],
)
def test_no_handler_writes_into_a_live_log_or_rotates_it(tmp_path, handler):
    (tmp_path / "live.log").write_text("what the live one wrote\n")
    os.utime(str(tmp_path / "live.log"), (1, 1))
    code = f"""
        handler = {handler}
        logging.getLogger().addHandler(handler)
        for number in range(9): logging.error("of the trial %d", number)
    """
    assert run(tmp_path, code) == ""
    assert [p.name for p in tmp_path.glob("live*")] == ["live.log"]
    assert (tmp_path / "live.log").read_text() == "what the live one wrote\n"
    logged = "".join(p.read_text() for p in (tmp_path / "scratch" / LOGS).iterdir())
    assert "of the trial 8" in logged


def test_a_log_that_cannot_be_opened_fails_the_trial_too(tmp_path):
    code = "logging.FileHandler('nowhere/live.log')"
    assert "FileNotFoundError" in run(tmp_path, code)
    assert str(tmp_path / "nowhere/live.log") not in os.listdir(str(tmp_path))


def test_a_device_is_no_log(tmp_path):
    code = "logging.FileHandler('/dev/stdout', 'w').emit(logging.makeLogRecord({'msg': 'seen'}))"
    assert run(tmp_path, code) == "seen"
