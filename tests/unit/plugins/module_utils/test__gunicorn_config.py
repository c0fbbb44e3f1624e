import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn_config import (
    Settings,
    read_settings,
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
