import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.config_file import (
    Settings,
    read_settings,
    settings_seen,
)


def test_names_and_the_few_values_that_are_needed():
    text = "bind = '0.0.0.0:80'\nworker_class = 'eventlet'\nraw_env = ['TOKEN=s3cret']\n"
    found = read_settings(
        text + "def post_fork(server, worker): pass\nproxy_protocol: bool = True\n"
    )
    assert found.whole
    assert found.names == {
        "bind": None,
        "worker_class": "eventlet",
        "raw_env": None,
        "post_fork": None,
        "proxy_protocol": True,
    }


@pytest.mark.parametrize(
    "text",
    [
        "worker_class = choose()",
        "if x:\n    worker_class = 'eventlet'",
        "try:\n    import gevent\n    worker_class = 'gevent'\nexcept ImportError:\n    pass",
        "worker_class = 'event' + suffix",
        "worker_class, x = 'eventlet', 1",
        "worker_class = 'sync'\nworker_class += 'x'",
    ],
)
def test_a_value_that_is_not_plain_is_not_guessed(text):
    assert read_settings(text).names["worker_class"] is None


@pytest.mark.parametrize(
    "text",
    [
        "from base import *",
        "globals().update(x)",
        "exec(open('y').read())",
        "if x:\n    from base import *",
        "this is no Python",
        "\0",
        "(" * 5000,
    ],
)
def test_a_file_that_may_do_more_is_not_the_whole(text):
    assert not read_settings(text).whole


def test_an_empty_file_sets_nothing():
    assert read_settings("") == Settings({}, True)


def test_what_runs_is_seen_with_its_file_and_without_secrets(tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text("threads = 4\nraw_env = ['TOKEN=hunter2']\n")
    environment = {"GUNICORN_CMD_ARGS": "--reuse-port", "WEB_CONCURRENCY": "3"}
    told = settings_seen(["-e", "PASSWORD=hunter2", "app:app"], environment, str(tmp_path))
    assert told["names"] == {"threads": 4, "raw_env": None}
    assert told["environment_arguments"] == ["--reuse-port"]
    assert (told["whole"], told["error"]) == (True, "")
    assert told["file"] == str(tmp_path / "gunicorn.conf.py")
    assert "hunter2" not in repr(told)


def test_a_file_that_cannot_be_read_leaves_it_open(tmp_path):
    told = settings_seen(["-c", "away.py", "app:app"], {}, str(tmp_path))
    assert (told["names"], told["whole"]) == ({}, False)
    assert settings_seen(["-c", "python:my.conf"], {}, str(tmp_path))["whole"] is False
    assert settings_seen(["app:app"], {}, str(tmp_path))["whole"] is True
