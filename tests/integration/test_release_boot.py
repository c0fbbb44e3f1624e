# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The boot test: every way in which a fleet starts gunicorn, and every way in which it fails."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.integration import release_support as support

REQUIREMENTS = "flask==2.0.3\nwerkzeug==2.0.3\nnewrelic<11\n"
CONFIG = """
bind = ["127.0.0.1:{port}", "unix:{home}/app.sock"]
workers = 3
pidfile = "{home}/live.pid"
errorlog = "{home}/error.log"
accesslog = "{home}/access.log"
raw_env = ["FROM_CONFIG=yes"]
"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """A home with one release that every test tries and none changes."""
    with support.home(tmp_path_factory.mktemp("boot") / "app") as place:
        place.release = place.good(
            gunicorn="23.0.0", python="3.11", requirements=REQUIREMENTS, boot_test=False
        )["path"]
        place.venv.symlink_to(place.release)
        yield place


@pytest.fixture(autouse=True)
def nothing_left(request):
    """Whatever a test does: no process, no directory of it stays."""
    before = set(Path(tempfile.gettempdir()).glob("gunicorn-boot-*"))
    yield
    if "fleet" in request.fixturenames:
        fleet = request.getfixturevalue("fleet")
        fleet.trouble(support.NO_TROUBLE)
        assert support.processes_with("FLEETOPS_BOOT_TEST=", fleet.path) == []
    left = set(Path(tempfile.gettempdir()).glob("gunicorn-boot-*")) - before
    # Other tests of this machine make such directories too, and remove them.
    support.eventually(lambda: not [p for p in left if p.exists()], f"left: {left}")


def path_of(fleet):
    """What a service manager would give; New Relic's agent is on, and calls nobody."""
    config = fleet.path / "newrelic.ini"
    config.write_text("[newrelic]\ndeveloper_mode = true\n")
    return {"PATH": f"{fleet.venv}/bin:/usr/bin:/bin", "NEW_RELIC_CONFIG_FILE": str(config)}


def tried(fleet, **arguments):
    arguments.setdefault("directory", str(fleet.path))
    arguments.setdefault("environment", path_of(fleet))
    arguments.setdefault("path", os.path.realpath(fleet.venv))
    return fleet.module(state="checked", **arguments)


def good(fleet, **arguments):
    outcome = tried(fleet, **arguments)
    assert not outcome.failed, outcome.msg
    assert outcome.result["checks"]["boot"]["status"] == 200
    assert outcome.result["changed"] is False
    return outcome.result


def bad(fleet, **arguments):
    outcome = tried(fleet, **arguments)
    assert outcome.failed, outcome.result
    assert "Traceback" not in outcome.output.split('"msg"')[0]
    assert len(outcome.msg) < 8000
    return outcome.msg


@pytest.mark.parametrize(
    "command",
    [
        "{venv}/bin/gunicorn -b 127.0.0.1:{port} -w 4 app:app",
        "venv/bin/gunicorn --bind=127.0.0.1:{port} --bind unix:{home}/s.sock app:app",
        "gunicorn -b unix:{home}/s.sock --daemon --pid {home}/live.pid app:app",
        "gunicorn -c gunicorn.conf.py app:app",
        "{venv}/bin/python -m gunicorn -b :{port} --access-logfile {home}/access.log app:app",
        "env DEBUG=1 gunicorn -b :{port} app:app",
        "newrelic-admin run-program gunicorn -b :{port} app:app",
        "/bin/sh -c 'exec gunicorn -b :{port} app:app'",
        "gunicorn --chdir {home} -k gthread --threads 2 app:app",
    ],
)
def test_every_way_to_start(fleet, command):
    """The service's own address is taken all the while: it must not be asked for."""
    port = support.free_port()
    (fleet.path / "gunicorn.conf.py").write_text(CONFIG.format(port=port, home=fleet.path))
    if "gunicorn.conf.py" in command:
        fleet.trouble("assert os.environ['FROM_CONFIG'] == 'yes'\n" + support.NO_TROUBLE)
    elif "DEBUG" in command:
        fleet.trouble("assert os.environ['DEBUG'] == '1'\n" + support.NO_TROUBLE)
    elif "newrelic" in command:
        fleet.trouble("assert 'newrelic' in sys.modules\n" + support.NO_TROUBLE)
    with support.listening(port):
        result = good(fleet, command=command.format(port=port, home=fleet.path, venv=fleet.venv))
    # What boots has been imported: once is enough.
    assert result["checks"]["check_config"] is None
    for name in ("s.sock", "app.sock", "live.pid", "error.log", "access.log"):
        assert not (fleet.path / name).exists(), name
    (fleet.path / "gunicorn.conf.py").unlink()


def test_what_names_the_old_python_fails_in_the_trial_and_not_in_the_switch(fleet):
    site = next(Path(fleet.release).glob("lib/*/site-packages")).name
    minor = next(Path(fleet.release).glob("lib/python*")).name
    command = f"{fleet.venv}/bin/gunicorn --chdir {fleet.venv}/lib/{minor}/{site}/flask app:app"
    message = fleet.bad(
        gunicorn="23.0.0",
        python="3.12",
        requirements=REQUIREMENTS,
        command=f"{command} --pythonpath {fleet.path}",
        directory=str(fleet.path),
        environment=path_of(fleet),
    )
    assert "The start names the old Python's directory" in message
    assert f"lib/{minor}/{site}/flask" in message


def test_a_trial_is_pointed_elsewhere_and_once_is_enough(fleet):
    counted = fleet.path / "imports"
    fleet.trouble(
        "assert os.environ['DB'] == 'copy' and os.environ['FLEETOPS_BOOT_TEST']\n"
        f"open({str(counted)!r}, 'a').write('x')\n" + support.NO_TROUBLE
    )
    more = {"boot_environment": {"DB": "copy"}, "command": "gunicorn app:app"}
    good(fleet, **more)
    assert counted.read_text() == "x"
    more.update(state="checked", path=fleet.release, directory=str(fleet.path))
    more["environment"] = path_of(fleet)
    checks = fleet.good(boot_test="import", **more)["checks"]
    assert (checks["check_config"], checks["boot"], counted.read_text()) == (True, None, "xx")
    assert fleet.good(boot_test="none", **more)["checks"]["import"]
    assert counted.read_text() == "xx"


MEAN = """
import os
bind = ["127.0.0.1:{port}", "unix:{home}/app.sock"]
chdir = "src"
pidfile = "{home}/live.pid"
errorlog = "{home}/error.log"
worker_tmp_dir = "{home}"
preload_app = True
syslog = True
statsd_host = "127.0.0.1:{statsd}"
raw_env = ["PROMETHEUS_MULTIPROC_DIR={home}/metrics"]
def on_starting(server):
    assert os.path.exists(os.environ["PROMETHEUS_MULTIPROC_DIR"])
logconfig_dict = dict(
    version=1, disable_existing_loggers=False,
    root=dict(level="INFO", handlers=["live"]),
    loggers=dict(),
    formatters=dict(generic=dict(format="%(message)s")),
    handlers={{"live": {{"class": "logging.handlers.RotatingFileHandler", "maxBytes": 20,
                       "backupCount": 3, "filename": "{home}/app.log", "formatter": "generic"}}}})
"""
APP_LOG = """
import logging.handlers
handler = logging.handlers.TimedRotatingFileHandler(here + "/daily.log", "S", backupCount=1)
logging.getLogger("daily").addHandler(handler)
logging.getLogger("daily").error("imported")
health = lambda: logging.getLogger("daily").error("asked") or "ok"
"""


@pytest.mark.parametrize("boot_test", [True, False])
def test_a_trial_leaves_alone_what_is_live(fleet, boot_test):
    """A configuration that writes, sends and rotates wherever it can, relative to src."""
    port = support.free_port()
    (fleet.path / "conf").mkdir()
    (fleet.path / "src").mkdir()
    (fleet.path / "src/web.py").write_text("import sys; sys.path.append('..'); from app import app")
    logs = [fleet.path / name for name in ("app.log", "daily.log", "error.log")]
    for log in logs:
        log.write_text("what the live one wrote\n")
        os.utime(log, (1e9, 1e9))
    fleet.trouble(APP_LOG)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd, support.listening(port):
        statsd.bind(("127.0.0.1", 0))
        statsd.setblocking(False)
        (fleet.path / "conf/g.py").write_text(
            MEAN.format(port=port, home=fleet.path, statsd=statsd.getsockname()[1])
        )
        command = "gunicorn -c conf/g.py web:app"
        outcome = tried(fleet, command=command, boot_test=boot_test)
        assert not outcome.failed, outcome.msg
        with pytest.raises(BlockingIOError):
            statsd.recv(1)
    for log in logs:
        assert log.read_text() == "what the live one wrote\n"
    for name in ("live.pid", "app.sock", "app.log.1", "metrics"):
        assert not (fleet.path / name).exists(), name
    assert len(list(fleet.path.glob("daily*"))) == 1
    # What it wrote elsewhere is told when it fails.
    fleet.trouble(APP_LOG + "logging.getLogger('daily').error('no such table'); 1/0\n")
    assert "no such table" in bad(fleet, command=command, boot_test=boot_test)
    for name in ("conf", "src"):
        shutil.rmtree(fleet.path / name)
    for log in logs:
        log.unlink()


@pytest.mark.parametrize(
    "words, config, shell",
    [
        ("--chdir src", "workers = 2\n", False),
        ("", "workers = 2\nchdir = 'src'\n", False),
        ("", "workers = 2\nchdir = 'src'\n", True),
    ],
)
def test_from_where_the_service_manager_starts_it(fleet, words, config, shell):
    """The live one has gone to src since, where there is no conf/g.py."""
    port = support.free_port()
    for name, file, text in (
        ("conf", "g.py", config),
        ("src", "web.py", "import sys; sys.path.append('..'); from app import app"),
    ):
        (fleet.path / name).mkdir()
        (fleet.path / name / file).write_text(text)
    command = f"venv/bin/gunicorn -b 127.0.0.1:{port} -c conf/g.py {words} web:app"
    directory = str(fleet.path)
    argv = command.split()
    if shell:
        argv = ["/bin/sh", "-c", f"cd '{directory}' && exec {command}"]
        command, directory = f'/bin/sh -c "{argv[-1]}"', "/"
    pid = fleet.start(argv, port=port)
    assert os.readlink(f"/proc/{pid}/cwd") == str(fleet.path / "src")
    good(fleet, like_pid=pid, command=command, directory=directory)
    fleet.stop()
    for name in ("conf", "src"):
        shutil.rmtree(fleet.path / name)


def test_with_the_secrets_that_its_command_is_told_without(fleet):
    """What gunicorn_info tells of a command is redacted; it was tried with the stars."""
    port = support.free_port()
    command = f"{fleet.venv}/bin/gunicorn -b 127.0.0.1:{port} -e API_TOKEN=hunter22 app:app"
    fleet.trouble("assert os.environ['API_TOKEN'] == 'hunter22'\n" + support.NO_TROUBLE)
    pid = fleet.start(command.split(), port=port)
    told = command.replace("hunter22", "***")
    good(fleet, like_pid=pid, command=told)
    good(fleet, like_pid=pid, command=f"env API_TOKEN=*** {told}")
    fleet.stop()


def test_as_the_live_arbiter_behind_a_wrapper(fleet):
    """A script's arguments are seen in the process that came of it, and nowhere else."""
    port = support.free_port()
    wrapper = fleet.path / "start.sh"
    wrapper.write_text(
        "#!/bin/sh\nexport FROM_WRAPPER=yes\numask 027\nulimit -n 777\ncd sub && "
        f"exec {fleet.venv}/bin/gunicorn -b 127.0.0.1:{port} -w 2 --pythonpath .. app:app\n"
    )
    wrapper.chmod(0o755)
    (fleet.path / "sub").mkdir()
    pid = fleet.start([wrapper], port=port)
    fleet.trouble(
        "assert os.environ['FROM_WRAPPER'] == 'yes'\n"
        "assert os.getcwd().endswith('/sub')\n"
        "import resource\n"
        "assert resource.getrlimit(resource.RLIMIT_NOFILE) == (777, 777)\n"
        "assert os.umask(0o027) == 0o027\n" + support.NO_TROUBLE
    )
    good(fleet, like_pid=pid)
    message = bad(fleet, command=str(wrapper))
    assert "does not show how it starts gunicorn" in message
    assert support.get(port) == "ok"
    fleet.stop()


def test_as_a_live_arbiter_under_new_relic(fleet):
    """Its agent comes in by the environment, and refuses any other Python."""
    port = support.free_port()
    command = ["newrelic-admin", "run-program", "gunicorn", "-b", f"127.0.0.1:{port}", "app:app"]
    pid = fleet.start(["env", *command], env=path_of(fleet), port=port)
    fleet.trouble("assert 'newrelic' in sys.modules\n" + support.NO_TROUBLE)
    assert good(fleet, like_pid=pid)["gunicorn"] == "23.0.0"
    built = fleet.good(gunicorn="21.2.0", python="3.12", requirements=REQUIREMENTS, like_pid=pid)
    assert built["checks"]["boot"]["status"] == 200
    support.remove(built["path"])
    fleet.stop()


def test_a_live_arbiter_that_hides_its_command_line(tmp_path):
    with support.home(tmp_path / "app") as place:
        order = {
            "gunicorn": "23.0.0",
            "python": "3.11",
            "requirements": "flask\ngunicorn[setproctitle]\n",
        }
        built = place.good(boot_test=False, **order)
        place.venv.symlink_to(built["path"])
        port = support.free_port()
        secret = f"{place.venv}/bin/gunicorn -b 127.0.0.1:{port} -e API_TOKEN=hunter22 app:app"
        place.trouble(
            "assert os.environ['API_TOKEN'] == 'hunter22' and os.environ['DB'] == 'a, b'\n"
            + support.NO_TROUBLE
        )
        config = place.path / "supervisord.conf"
        config.write_text(
            f"[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\n"
            f"pidfile={place.path}/s.pid\n[program:app]\ncommand={secret}\n"
            f'directory={place.path}\nenvironment=DB="a, b"\n'
        )
        supervisord = place.start(
            [sys.executable, "-m", "supervisor.supervisord", "-c", config], port=port
        )
        (child,) = Path(f"/proc/{supervisord}/task/{supervisord}/children").read_text().split()
        pid = int(child)
        assert b"gunicorn: master" in Path(f"/proc/{pid}/cmdline").read_bytes()
        message = bad(place, path=built["path"], like_pid=pid)
        assert "hides its command line" in message and "give command" in message
        message = bad(place, path=built["path"], like_pid=pid, command=f"env TOKEN=*** {secret}")
        assert "holds what looks like a secret" in message
        # As gunicorn_info tells it.
        command = secret.replace("hunter22", "***")
        good(place, path=built["path"], like_pid=pid, command=command, environment={})


def test_the_live_directory_that_is_no_release_yet(tmp_path):
    """How the way back is proved: nothing of it is changed, byte-code apart."""
    with support.home(tmp_path / "app") as place:
        support.make_venv(place.venv, support.python("3.11"), "gunicorn==21.2.0", "flask")
        port = support.free_port()
        command = [place.venv / "bin/gunicorn", "-b", f"127.0.0.1:{port}", "app:app"]
        pid = place.start(command, port=port)
        result = good(place, path=str(place.venv), like_pid=pid)
        assert (result["id"], result["gunicorn"]) == (None, "21.2.0")
        assert place.releases() == []
        (next(place.venv.glob("lib/*/site-packages/flask")) / "__init__.py").unlink()
        assert "cannot import name 'Flask'" in bad(place, path=str(place.venv), like_pid=pid)
        support.remove(next(place.venv.glob("lib/*/site-packages/gunicorn")))
        assert "import test" in bad(place, path=str(place.venv), like_pid=pid)
        support.remove(place.venv)
        assert "does not exist" in bad(place, path=str(place.venv), like_pid=pid)


def test_as_the_applications_own_user():
    if os.geteuid() != 0:
        support.missing("only root can become another user")
    interpreter = support.python("3.11", anybody=True)
    # Not under pytest's own directory, which is nobody else's to enter.
    top = tempfile.mkdtemp()
    os.chmod(top, 0o755)
    try:
        with support.home(Path(top) / "app") as place:
            place.trouble(
                "assert os.getuid() == os.geteuid() == 65534 and os.getgid() == 65534\n"
                "assert os.getgroups() in ([], [65534])\n"
                "import tempfile\n"
                "try: open(os.path.join(sys.prefix, 'x'), 'w')\n"
                "except PermissionError: pass\n"
                "else: raise SystemExit('the release is writable')\n" + support.NO_TROUBLE
            )
            result = place.good(
                gunicorn="23.0.0",
                python=interpreter,
                requirements="flask\n",
                user="nobody",
                command="gunicorn --error-logfile /dev/stderr app:app",
                directory=str(place.path),
                environment=path_of(place),
            )
            assert result["checks"]["boot"]["uid"] == 65534
            private = support.Home(Path(top) / "private").path
            private.chmod(0o700)
            message = place.module(
                home=str(private),
                gunicorn="23.0.0",
                python=interpreter,
                requirements="flask\n",
                user="nobody",
                command="gunicorn app:app",
                directory=str(private),
                environment=path_of(place),
                min_free_mb=10,
            )
            assert message.failed and "ermission denied" in message.msg
    finally:
        shutil.rmtree(top)


@pytest.mark.parametrize(
    "trouble, why",
    [
        ("import dataclasses_of_old\n", "No module named 'dataclasses_of_old'"),
        ("raise RuntimeError('no database at db://joe:hunter22@db/x')\n", "db://***@db/x"),
        ("raise RuntimeError('token is ' + os.environ['API_TOKEN'])\n", "token is ***"),
        ("health = lambda: 1/0\n", "answers 500 on /healthz"),
        ("import time\nhealth = lambda: time.sleep(60)\n", "did not answer within 3 s"),
        ("if 'FLEETOPS_BOOT_TEST' in os.environ: os.kill(os.getppid(), 9)\n", "ended at once"),
    ],
    ids=["import", "secret in a url", "secret of the environment", "500", "silence", "killed"],
)
def test_a_release_that_does_not_serve(fleet, trouble, why):
    fleet.trouble(trouble)
    message = bad(
        fleet,
        command="gunicorn app:app",
        boot_timeout=3 if "sleep" in trouble else 60,
        environment=dict(path_of(fleet), API_TOKEN="hunter22"),
    )
    assert "boot test: gunicorn 23.0.0 on Python 3.11" in message
    assert why in message
    assert "hunter22" not in message
    assert len(message.splitlines()) < 25


def test_a_build_that_does_not_serve_leaves_nothing(fleet):
    fleet.trouble("import dataclasses_of_old\n")
    message = fleet.bad(
        gunicorn="22.0.0",
        python="3.11",
        requirements=REQUIREMENTS,
        command="gunicorn app:app",
        directory=str(fleet.path),
        environment=path_of(fleet),
    )
    assert "No module named 'dataclasses_of_old'" in message


def test_a_command_that_starts_another_gunicorn(fleet, tmp_path):
    other = tmp_path / "other"
    support.make_venv(other, support.python("3.11"), "gunicorn==22.0.0", "flask")
    message = bad(fleet, command=f"{other}/bin/gunicorn app:app")
    assert "does not start gunicorn from the release" in message
    assert str(other) in message


def test_a_worker_class_that_is_not_installed(fleet):
    message = bad(fleet, command="gunicorn -k gevent app:app")
    assert "import test" in message and "gevent" in message


def test_a_program_that_slips_away_is_ended(fleet):
    """daemon in the configuration file cannot be taken back by an argument."""
    (fleet.path / "d.py").write_text("daemon = True\n")
    message = bad(fleet, command="gunicorn -c d.py app:app", boot_timeout=10)
    assert "ended at once with status 0" in message
    # What stays would be seen by nothing_left.


def test_a_process_that_is_no_gunicorn_or_is_gone(fleet):
    assert "is no gunicorn" in bad(fleet, like_pid=os.getpid())
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert "there is no process" in bad(fleet, like_pid=process.pid)


def test_tls(fleet):
    key, certificate = fleet.path / "key.pem", fleet.path / "cert.pem"
    done = (
        subprocess.run(
            [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "1",
                "-subj",
                "/CN=x",
                "-keyout",
                key,
                "-out",
                certificate,
            ],
            capture_output=True,
            check=False,
        )
        if shutil.which("openssl")
        else None
    )
    if done is None or done.returncode != 0:
        support.missing("no openssl to make a certificate with")
    good(fleet, command=f"gunicorn --certfile {certificate} --keyfile {key} app:app")
