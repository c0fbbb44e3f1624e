import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.carried_pins import (
    pins_of,
)

MARKERS = {"python_version": "3.11", "sys_platform": "linux"}


@pytest.mark.parametrize(
    ("line", "pins", "open_"),
    [
        ("Flask==3.0.0", {"flask": "3.0.0"}, []),
        ("gunicorn[gevent]==23.0.0", {"gunicorn": "23.0.0"}, []),
        ("a.b_c === 1.0", {"a-b-c": "1.0"}, []),
        ("x==1.0 --hash=sha256:ab", {"x": "1.0"}, []),
        ('x==1.0 ; python_version >= "3.8"', {"x": "1.0"}, []),
        ('x==1.0; python_version < "3.8"', {}, []),
        ("x>=1,<2", {}, ["x"]),
        ("x==1.*", {}, ["x"]),
        ("x", {}, ["x"]),
        ("x @ https://host/x.whl", {}, ["x"]),
        ("setuptools<81", {}, ["setuptools"]),
        ("--extra-index-url https://host", {}, []),
        ("-c x==1", {}, []),
    ],
)
def test_only_one_exact_version_is_a_pin(line, pins, open_):
    assert pins_of([line], MARKERS) == (pins, open_)
