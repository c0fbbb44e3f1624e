# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From how gunicorn is started to how it is tried."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.launch import (
    Launch,
    Prefix,
    boot_launch,
    check_launch,
    config_location,
    gunicorn_arguments,
    literal_start,
    log_tail,
    parse_command,
    retarget,
    secrets_of,
    stale_words,
    strip_arguments,
    vital_words,
)

OLD = Prefix(("/srv/app/venv", "/srv/app/releases/old"), "3.6")
NEW = Prefix(("/srv/app/releases/.build-x",), "3.11")


def launch(*argv, **environment):
    return Launch(tuple(argv), environment, "/srv/app", 33, 33, (33,), "test")


@pytest.mark.parametrize(
    "arguments, kept",
    [
        ("-b :80 app:app", "app:app"),
        ("-b:80 --bind=unix:/s --bind :81 --bi :82 app:app", "app:app"),
        ("-w4 -w 4 --workers=4 --workers 4 app:app", "app:app"),
        (
            "--worker-class gevent --worker-connections=9 app",
            "--worker-class gevent --worker-connections=9 app",
        ),
        ("-D --daemon -p x --pid=x app", "app"),
        ("-Dk gevent app", "-k gevent app"),
        (
            "--access-logfile - --error-logfile=/x --log-file /y --log-level debug app",
            "--log-level debug app",
        ),
        ("--access-logformat %(h)s app", "--access-logformat %(h)s app"),
        ("--log-syslog --log-syslog-to udp://x app", "--log-syslog-to udp://x app"),
        ("--log-config x.ini -c conf.py app", "--log-config x.ini -c conf.py app"),
        ("--backlog 5 --preload -t 30 app", "--backlog 5 --preload -t 30 app"),
        ("--control-socket /x --no-control-socket app", "app"),
        ("--statsd-host x:1 --statsd-h=x:1 --statsd-prefix p app", "--statsd-prefix p app"),
        ("-b :80 -- app", "-- app"),
        ("app --bind", "app"),
    ],
)
def test_what_the_test_must_not_take_over_is_stripped(arguments, kept):
    assert strip_arguments(arguments.split()) == kept.split()


def test_a_live_script_is_pointed_at_the_new_release():
    live = launch("/srv/app/venv/bin/python3.6", "/srv/app/venv/bin/gunicorn", "app:app")
    assert retarget(live, OLD, NEW).argv == (
        "/srv/app/releases/.build-x/bin/python",
        "/srv/app/releases/.build-x/bin/gunicorn",
        "app:app",
    )


def test_a_scripts_first_line_is_not_relied_on():
    """An adopted release's scripts name the live link, which is another release by then."""
    assert retarget(launch("env", "A=1", "/srv/app/venv/bin/gunicorn", "app"), OLD, NEW).argv == (
        "env",
        "A=1",
        "/srv/app/releases/.build-x/bin/python",
        "/srv/app/releases/.build-x/bin/gunicorn",
        "app",
    )


def test_a_release_is_swapped_under_its_real_path_too_and_neighbours_are_not():
    live = launch(
        "/srv/app/releases/old/bin/python",
        "-m",
        "gunicorn",
        "-c",
        "/srv/app/venv-conf.py",
        "app:app",
    )
    assert retarget(live, OLD, NEW).argv[0] == "/srv/app/releases/.build-x/bin/python"
    assert "/srv/app/venv-conf.py" in retarget(live, OLD, NEW).argv


def test_relative_paths_of_the_start_are_understood():
    assert retarget(launch("venv/bin/gunicorn", "app:app"), OLD, NEW).argv[1] == (
        "/srv/app/releases/.build-x/bin/gunicorn"
    )
    # Not those of the arguments: they are the application's.
    assert retarget(launch("gunicorn", "--chdir", "src/x", "app"), OLD, NEW).argv == (
        "gunicorn",
        "--chdir",
        "src/x",
        "app",
    )


def test_the_environment_is_swapped_with_the_python_in_its_paths():
    live = launch(
        "gunicorn",
        "app:app",
        PATH="/srv/app/venv/bin:/usr/bin",
        VIRTUAL_ENV="/srv/app/venv",
        PYTHONPATH="/srv/app/venv/lib/python3.6/site-packages/newrelic/bootstrap:/srv/app",
        GUNICORN_FD="5",
        LISTEN_FDS="1",
        OTHER="/srv/app/venvs",
        NEW_RELIC_PYTHON_VERSION="3.6",
    )
    env = retarget(live, OLD, NEW).environment
    assert env == {
        "PATH": "/srv/app/releases/.build-x/bin:/usr/bin",
        "VIRTUAL_ENV": "/srv/app/releases/.build-x",
        "PYTHONPATH": "/srv/app/releases/.build-x/lib/python3.11/site-packages/newrelic/bootstrap"
        ":/srv/app",
        "OTHER": "/srv/app/venvs",
        "NEW_RELIC_PYTHON_VERSION": "3.11",
    }


def test_the_boot_has_an_address_a_log_and_a_pid_file_of_its_own():
    live = launch(
        "newrelic-admin",
        "run-program",
        "gunicorn",
        "-b",
        ":80",
        "-w",
        "9",
        "app:app",
        GUNICORN_CMD_ARGS="--bind=:81 --daemon -k 'a b'",
        prometheus_multiproc_dir="/p",
    )
    booted = boot_launch(live, "127.0.0.1:9", "/tmp/s", "23.0.0", "tok")
    assert booted.argv == (
        "newrelic-admin",
        "run-program",
        "gunicorn",
        "--config",
        "/tmp/s/gunicorn_trial.py",
        "--bind",
        "127.0.0.1:9",
        "--workers",
        "1",
        "--pid",
        "/tmp/s/gunicorn.pid",
        "--error-logfile",
        "-",
        "--access-logfile",
        "-",
        "app:app",
    )
    assert booted.environment["GUNICORN_CMD_ARGS"] == "-k 'a b'"
    assert booted.environment["prometheus_multiproc_dir"] == "/tmp/s"
    assert booted.environment["FLEETOPS_BOOT_TEST"] == "tok"


@pytest.mark.parametrize(
    "words, variable, location",
    [
        ("-c conf/g.py app", "-c other.py", "conf/g.py"),
        ("app", "-k gthread --config other.py", "other.py"),
        ("app", "", ""),
    ],
)
def test_the_configuration_file_is_loaded_by_the_trials_own(words, variable, location):
    live = launch("gunicorn", *words.split(), GUNICORN_CMD_ARGS=variable)
    assert config_location(live) == location
    for tried in (boot_launch(live, "x", "/t", "23.0.0", "t"), check_launch(live, "/t", "t")):
        assert [w for w in tried.argv if w.endswith(".py")] == ["/t/gunicorn_trial.py"]
        assert "other.py" not in tried.environment["GUNICORN_CMD_ARGS"]


@pytest.mark.parametrize("version, off", [("23.0.0", False), ("25.0.3", False), ("25.1.0", True)])
def test_the_control_socket_is_off_where_there_is_one(version, off):
    argv = boot_launch(launch("gunicorn", "app"), "x", "/t", version, "t").argv
    assert ("--no-control-socket" in argv) is off


@pytest.mark.parametrize(
    "command, argv",
    [
        (
            "/srv/app/venv/bin/gunicorn -b :80 'app:create()'",
            ["/srv/app/venv/bin/gunicorn", "-b", ":80", "app:create()"],
        ),
        ("env A=1 gunicorn app", ["env", "A=1", "gunicorn", "app"]),
        ("sh -c 'exec gunicorn app:app'", ["gunicorn", "app:app"]),
        ("/bin/bash -lc 'A=1 exec venv/bin/gunicorn app'", ["venv/bin/gunicorn", "app"]),
        ("python3 -m gunicorn app", ["python3", "-m", "gunicorn", "app"]),
        ("python -mgunicorn app", ["python", "-mgunicorn", "app"]),
    ],
)
def test_commands_of_a_service_manager(command, argv):
    assert list(parse_command(command)[0]) == argv


@pytest.mark.parametrize(
    "command, literal",
    [
        ("venv/bin/gunicorn -e TOKEN=*** app:app", "venv/bin/gunicorn -e TOKEN=hunter22 app:app"),
        (
            "newrelic-admin run gunicorn app(***)",
            "newrelic-admin run gunicorn -e TOKEN=hunter22 app:app",
        ),
        ("env TOKEN=*** gunicorn app:app", None),
        ("/srv/app/start.sh", None),
    ],
)
def test_a_secret_that_the_command_is_told_without_is_what_gunicorn_has(command, literal):
    found = literal_start(command.split(), ("-e", "TOKEN=hunter22", "app:app"))
    assert found == (literal and tuple(literal.split()))


def test_variables_before_the_command():
    assert parse_command("sh -c 'A=1 B=x exec gunicorn app'")[1] == {"A": "1", "B": "x"}


@pytest.mark.parametrize(
    "command", ["/srv/app/start.sh", "sh -c 'cd x && exec gunicorn app'", "python app.py"]
)
def test_a_command_that_hides_gunicorn_is_an_error_that_says_what_to_do(command):
    with pytest.raises(FleetError, match="does not show .*live arbiter"):
        parse_command(command)


@pytest.mark.parametrize("command", ["gunicorn 'app", ""])
def test_a_command_that_cannot_be_read(command):
    with pytest.raises(FleetError, match="cannot be read|is empty"):
        parse_command(command)


def test_check_config_gets_what_it_would_apply_too_late():
    live = launch(
        "gunicorn",
        "--pythonpath",
        "/a,/b",
        "-e",
        "X=1",
        "--env=Y=2",
        "-b",
        ":80",
        "app",
        PYTHONPATH="/c",
    )
    checked = check_launch(live, "/tmp/s", "tok")
    assert checked.argv[:4] == (
        "gunicorn",
        "--check-config",
        "--config",
        "/tmp/s/gunicorn_trial.py",
    )
    assert checked.environment == {
        "PYTHONPATH": "/a:/b:/c",
        "X": "1",
        "Y": "2",
        "FLEETOPS_BOOT_TEST": "tok",
        "SPT_NOENV": "1",
    }
    assert gunicorn_arguments(live)[-1] == "app"


def test_what_looks_like_a_secret_is_hidden_and_no_switch_or_path_is():
    given = {"DEBUG": "1", "API_TOKEN": "1", "DB_PASSWORD": "hunter22", "KEY_FILE": "/etc/key.pem"}
    assert secrets_of(dict(given, DATABASE_URL="db://u:pw@h")) == ["db://u:pw@h", "hunter22"]


def test_the_log_tail_is_bounded_and_without_secrets():
    log = "\n".join(f"line {n}" for n in range(100)) + "\nlogin hunter22 at db://u:pw@h/x\n"
    tail = log_tail(log, {"DB_PASSWORD": "hunter22", "HOME": "/srv/app"}, 5)
    assert len(tail.splitlines()) == 5
    assert "hunter22" not in tail
    assert "u:pw" not in tail
    assert "login *** at db://***@h/x" in tail


def test_what_names_the_old_python_is_tried_as_it_will_be_started():
    """The service manager's command is not rewritten either."""
    live = launch(
        "/srv/app/venv/bin/gunicorn",
        "--chdir",
        "/srv/app/venv/lib/python3.6/site-packages/web",
        "web:app",
        PYTHONPATH="/srv/app/venv/lib/python3.6/site-packages:/x",
    )._replace(literal=True)
    aimed = retarget(live, OLD, NEW)
    assert "/srv/app/releases/.build-x/lib/python3.6/site-packages/web" in aimed.argv
    assert aimed.environment["PYTHONPATH"].startswith("/srv/app/releases/.build-x/lib/python3.6/")
    assert stale_words(live, OLD) == [
        "/srv/app/venv/lib/python3.6/site-packages/web",
        "PYTHONPATH=/srv/app/venv/lib/python3.6/site-packages:/x",
    ]


def test_a_literal_interpreter_with_a_version_stays():
    live = launch("/srv/app/venv/bin/python3.6", "-m", "gunicorn", "app")._replace(literal=True)
    assert retarget(live, OLD, NEW).argv[0] == "/srv/app/releases/.build-x/bin/python3.6"
    assert stale_words(live, OLD) == ["/srv/app/venv/bin/python3.6"]


@pytest.mark.parametrize(
    "word",
    ["/srv/app/venv/lib/python3.60/x", "/usr/lib/python3.6/x", "/srv/app/venv2/lib/python3.6"],
)
def test_other_paths_are_not_the_old_pythons(word):
    assert stale_words(launch("gunicorn", word), OLD) == []


def test_what_the_kernel_shows_begins_with_a_scripts_interpreter():
    """Another release's script names its own."""
    live = launch("/srv/app/venv/bin/python3.6", "/srv/app/venv/bin/gunicorn", "app")
    assert stale_words(live, OLD) == []


def test_what_new_relic_notes_anew_at_each_start_is_not_stale():
    noted = "/srv/app/venv/lib/python3.6/site-packages/newrelic/bootstrap"
    live = launch("gunicorn", "app", NEW_RELIC_PYTHON_VERSION="3.6", PYTHONPATH=noted + ":/x")
    assert stale_words(live, OLD) == []
    assert stale_words(launch("gunicorn", "app", PYTHONPATH=noted), OLD) != []


@pytest.mark.parametrize(
    "words",
    [
        ["gunicorn", "--chdir", "{}", "app"],
        ["gunicorn", "--chdir={}", "app"],
        ["gunicorn", "-c", "{}/g.py", "app"],
        ["gunicorn", "-c{}/g.py", "app"],
        ["gunicorn", "--config", "{}/g.py", "app"],
        ["/srv/app/venv/bin/python3.6", "-m", "gunicorn", "app"],
    ],
)
def test_without_a_directory_a_file_or_a_program_of_the_old_python_nothing_starts(words):
    site = "/srv/app/venv/lib/python3.6/site-packages/web"
    live = launch(*[word.format(site) for word in words])._replace(literal=True)
    assert vital_words(live, OLD) == stale_words(live, OLD) != []


def test_without_a_place_to_look_for_modules_it_may_start():
    site = "/srv/app/venv/lib/python3.6/site-packages"
    live = launch("gunicorn", "--pythonpath", site, "-n", site, "app", PYTHONPATH=site)
    assert vital_words(live, OLD) == []
    assert len(stale_words(live, OLD)) == 3
