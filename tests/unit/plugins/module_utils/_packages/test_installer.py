# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Installers: commands, environments, and what their failures mean (on real output)."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.installer import (
    Source,
    check_python,
    choose,
    explain,
    install_command,
    install_environment,
    nearest,
    read_pip_config,
)

INDEX = Source()


def told(output, gunicorn="23.0.0", python="3.11.7", source=INDEX, existing=None):
    return explain(output, gunicorn, python, source, existing)


def test_auto_takes_uv_from_3_8_on():
    assert choose("auto", "/bin/uv", "3.8.18", False, "w") == "uv"
    assert choose("auto", "/bin/uv", "3.7.16", False, "w") == "pip"
    assert choose("auto", "", "3.11.7", False, "w") == "pip"
    assert choose("auto", "/bin/uv", "3.11.7", True, "w") == "pip"
    assert choose("auto", "/bin/uv", "3.11.7", False, "") == "uv"


@pytest.mark.parametrize(
    "wanted, uv, python, pip_only, wheel, why",
    [
        ("uv", "", "3.11.7", False, "w", "not on this host"),
        ("uv", "/bin/uv", "3.6.15", False, "w", "does not support Python 3.6"),
        ("uv", "/bin/uv", "3.11.7", True, "w", "only pip knows"),
        ("pip", "/bin/uv", "3.11.7", False, "", "apt install python3.11-venv"),
    ],
)
def test_an_installer_that_cannot_be(wanted, uv, python, pip_only, wheel, why):
    with pytest.raises(FleetError, match=why):
        choose(wanted, uv, python, pip_only, wheel)


@pytest.mark.parametrize(
    "gunicorn, python, good",
    [
        ("21.2.0", "3.6.15", True),
        ("22.0.0", "3.6.15", False),
        ("23.0.0", "3.7.1", True),
        ("24.1.1", "3.9.18", False),
        ("27.0.1", "3.10.1", True),
        ("20.0.1", "3.6.15", True),
    ],
)
def test_the_python_that_gunicorn_itself_demands(gunicorn, python, good):
    if good:
        check_python(gunicorn, python)
    else:
        with pytest.raises(FleetError, match="needs Python"):
            check_python(gunicorn, python)


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_no_index_reaches_a_command_line(installer):
    source = Source("https://u:secret@h/simple", ("https://v:secret@h/simple",))
    command = install_command(installer, "/v/bin/python", "r.txt", "c.txt", True, source, "uv")
    assert "secret" not in " ".join(command)
    assert "--require-hashes" in command
    env = install_environment({"PATH": "/bin"}, source, {})
    assert env["PIP_INDEX_URL"] == env["UV_INDEX_URL"] == "https://u:secret@h/simple"
    assert env["PIP_EXTRA_INDEX_URL"] == env["UV_EXTRA_INDEX_URL"] == "https://v:secret@h/simple"


def test_offline_means_the_wheelhouse_alone():
    env = install_environment(
        {"PIP_INDEX_URL": "x", "UV_INDEX": "y", "PIP_FIND_LINKS": "z"},
        Source(wheelhouse="/w"),
        {"find-links": "/elsewhere"},
    )
    assert not any(name in env for name in ("PIP_INDEX_URL", "UV_INDEX", "UV_FIND_LINKS"))
    assert env["PIP_CONFIG_FILE"] == "/dev/null"
    command = install_command("pip", "p", "r", "", False, Source(wheelhouse="/w"))
    assert command[command.index("--no-index") :][:3] == ["--no-index", "--find-links", "/w"]


def test_pips_configuration_is_told_to_uv():
    config = read_pip_config(
        [
            "[global]\nindex-url = https://mirror/simple\nextra-index-url =\n  https://a/s\n  "
            "https://b/s\n",
            "[install]\ntrusted_host = mirror\n",
            "not an ini file",
        ]
    )
    env = install_environment({}, INDEX, config)
    assert env["UV_INDEX_URL"] == "https://mirror/simple"
    assert env["UV_EXTRA_INDEX_URL"] == "https://a/s https://b/s"
    assert env["UV_INSECURE_HOST"] == "mirror"
    # What the host says to uv itself comes before.
    assert install_environment({"UV_DEFAULT_INDEX": "u"}, INDEX, config)["UV_DEFAULT_INDEX"] == "u"
    assert "UV_INDEX_URL" not in install_environment({"UV_DEFAULT_INDEX": "u"}, INDEX, config)


def test_a_given_index_replaces_the_hosts():
    env = install_environment(
        {"UV_INDEX": "x", "PIP_EXTRA_INDEX_URL": "y"},
        Source("https://h/s"),
        {"extra-index-url": "z"},
    )
    assert env["PIP_EXTRA_INDEX_URL"] == ""
    assert "UV_EXTRA_INDEX_URL" not in env
    assert "UV_INDEX" not in env


@pytest.mark.parametrize("name", ["PYTHONPATH", "PIP_TARGET", "VIRTUAL_ENV", "PIP_PREFIX"])
def test_nothing_bends_the_place(name):
    assert name not in install_environment({name: "/elsewhere"}, INDEX, {})


PIP_NO_VERSION = (
    "ERROR: Could not find a version that satisfies the requirement gunicorn==20.0.1 (from "
    "versions: 19.9.0, 19.10.0, 20.0.0, 20.0.2, 20.0.3, 20.1.0, 27.0.1)\n"
    "ERROR: No matching distribution found for gunicorn==20.0.1\n"
)
UV_NO_VERSION = (
    "error: No solution found when resolving dependencies\n"
    "  cause: Because there is no version of gunicorn==20.0.1 and you require gunicorn==20.0.1, "
    "we can conclude that your requirements are unsatisfiable.\n"
)


def test_a_version_that_does_not_exist_names_the_nearest():
    for text in (
        told(PIP_NO_VERSION, "20.0.1").text,
        told(UV_NO_VERSION, "20.0.1", existing=["20.0.0", "20.0.2"]).text,
    ):
        assert "the package index has no gunicorn 20.0.1" in text
        assert "20.0.0, 20.0.2" in text
    assert nearest("20.0.1", ["20.0.10", "20.0.0", "20.0.2"]) == ["20.0.0", "20.0.2", "20.0.10"]


@pytest.mark.parametrize(
    "output",
    [
        "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If...\n"
        "    flask==2.0.3 from https://h/f.whl:\n        Expected sha256 00\n             Got    "
        "    59\n",
        "error: Failed to download `flask==2.0.3`\n  cause: Hash mismatch for `flask==2.0.3`\n\n"
        "         Expected:\n           sha256:00\n\n         Computed:\n           sha256:59\n",
    ],
)
def test_a_hash_mismatch_shows_both(output):
    failure = told(output)
    assert not failure.pins
    assert failure.text.startswith("hash mismatch")
    assert "flask==2.0.3" in failure.text
    assert "59" in failure.text


@pytest.mark.parametrize(
    "output",
    [
        "ERROR: Hashes are required in --require-hashes mode, but they are missing from some "
        "requirements. Here is a list:\n    packaging==26.3 --hash=sha256:ec40\n",
        "error: In `--require-hashes` mode, all requirements must have a hash, but none were "
        "provided "
        "for: packaging==26.3\n",
        "error: Hash-checking is required, but no trusted hash was provided for:\n"
        "  `packaging==26.3`\n",
    ],
)
def test_missing_hashes_are_named(output):
    assert "packaging==26.3" in told(output).text


@pytest.mark.parametrize(
    "output",
    [
        "ERROR: Cannot install x\n\nThe conflict is caused by:\n    The user requested "
        "werkzeug==1.0.1\n"
        "    flask 2.0.3 depends on Werkzeug>=2.0\n\nTo fix this\nERROR: ResolutionImpossible: x\n",
        "error: No solution found when resolving dependencies\n  cause: Because flask==2.0.3 "
        "depends on "
        "werkzeug>=2.0 and you require flask==2.0.3, we can conclude that you require "
        "werkzeug>=2.0.\n"
        "         And because you require werkzeug==1.0.1, we can conclude.\n",
    ],
)
def test_a_conflict_names_the_pair(output):
    failure = told(output)
    assert failure.pins
    assert "contradict each other" in failure.text
    assert "werkzeug==1.0.1" in failure.text
    assert "flask" in failure.text


@pytest.mark.parametrize(
    "output",
    [
        "WARNING: Retrying after connection broken by 'NewConnectionError(Failed to establish a "
        "new "
        "connection: [Errno 111] Connection refused')': /simple/flask/\n"
        "ERROR: Could not find a version that satisfies the requirement gunicorn==23.0.0 (from "
        "versions: none)\nERROR: No matching distribution found for gunicorn==23.0.0\n",
        "error: Request failed after 3 retries\n  cause: Failed to fetch: "
        "http://u:pw@127.0.0.1:9/s/\n"
        "  cause: error sending request for url\n  cause: Connection refused (os error 111)\n",
        "  cause: dns error\n  cause: failed to lookup address information: Name or service not "
        "known",
    ],
)
def test_an_index_that_is_not_there(output):
    failure = told(output)
    assert "cannot be reached" in failure.text
    assert "pw@" not in failure.text
    assert not failure.pins


def test_a_package_that_does_not_build_is_named_with_its_error():
    output = (
        "error: Failed to build `markupsafe==1.0`\n  cause: The build backend returned an error\n"
        "         Traceback (most recent call last):\n"
        "         ImportError: cannot import name 'Feature' from 'setuptools'\n"
    )
    failure = told(output)
    assert failure.pins
    assert "markupsafe==1.0 has no wheel for Python 3.11.7" in failure.text
    assert "cannot import name 'Feature'" in failure.text


@pytest.mark.parametrize(
    "output",
    [
        "ERROR: Could not find a version that satisfies the requirement gunicorn==23.0.0 (from "
        "versions: none)\nERROR: No matching distribution found for gunicorn==23.0.0\n",
        "error: No solution found when resolving dependencies\n  cause: Because gunicorn was not "
        "found in the package registry and you require gunicorn==23.0.0, we can conclude\n",
    ],
)
def test_an_index_without_any_gunicorn_is_perhaps_one_that_refuses_us(output):
    assert "are its credentials good?" in told(output).text
    assert "credentials" not in told(output, source=Source(wheelhouse="/w")).text


@pytest.mark.parametrize(
    "output", ["OSError: [Errno 28] No space left on device", "failed to write (os error 28)"]
)
def test_a_full_disk(output):
    assert "disk filled up" in told(output).text


def test_an_error_that_goes_on_in_the_next_line_is_told_whole():
    assert told("error: this broke:\n  over there\nand so on\n").text.endswith("broke: over there")


def test_whatever_else_is_bounded():
    failure = told("noise\n" * 5000 + "ERROR: " + "x" * 5000)
    assert len(failure.text) < 2000


@pytest.mark.parametrize(
    "local, house, wanted",
    [(False, "", False), (True, "", True), (False, "/w", True)],
)
def test_uv_takes_nothing_from_its_cache_where_a_file_may_have_changed(local, house, wanted):
    """It knows a file in a directory by its name, and would give what lay there before."""
    source = Source(wheelhouse=house)
    command = install_command("uv", "p", "r", "", False, source, "/uv", local)
    assert ("--no-cache" in command) is wanted
    assert "--no-cache" not in install_command("pip", "p", "r", "", False, source, "", local)
