# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requirement text in, what the installer gets out."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.requirements import (
    flatten,
    link_places,
    local_paths,
    logical_lines,
    prepare,
    redact,
    same_version,
)


def given(text, gunicorn="23.0.0", **kwargs):
    return prepare(flatten(text, "r.txt"), gunicorn, "r.txt", **kwargs)


@pytest.mark.parametrize(
    "line",
    [
        "gunicorn==20.0.1",
        "Gunicorn == 20.0.1  # the old one",
        "gunicorn",
        "gunicorn>=19,<21",
        'gunicorn==20.0.1; python_version < "3.7"',
        "gunicorn @ https://example.com/gunicorn-20.0.1.tar.gz",
    ],
)
def test_the_stage_wins_over_any_gunicorn_line(line):
    assert given("flask==2.0.3\n" + line + "\n").text == "flask==2.0.3\ngunicorn==23.0.0\n"


def test_extras_of_every_gunicorn_line_are_kept():
    text = given("gunicorn[gevent]==20.0.1\ngunicorn[setproctitle, gevent]\n").text
    assert text == "gunicorn[gevent,setproctitle]==23.0.0\n"


def test_other_packages_with_gunicorn_in_their_name_stay():
    assert "prometheus-gunicorn==1" in given("prometheus-gunicorn==1\n").text
    assert "gunicorn-color==1" in given("gunicorn-color==1\n").text


def test_without_a_gunicorn_line_it_is_added():
    assert given("flask\n").text == "flask\ngunicorn==23.0.0\n"


def test_continuations_comments_and_a_byte_order_mark():
    text = "\ufeff# head\nflask==2.0.3 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n\nx # y\n"
    assert [(line.number, line.text) for line in logical_lines(text)] == [
        (2, "flask==2.0.3 --hash=sha256:aa --hash=sha256:bb"),
        (6, "x"),
    ]


def test_an_url_fragment_is_no_comment():
    assert logical_lines("git+https://h/r#egg=x\n")[0].text == "git+https://h/r#egg=x"


def test_order_of_lines_and_comments_do_not_change_what_is_recorded():
    assert given("b==1\na==2 # why\n").recorded == given("\na==2\n\nb==1").recorded


def test_old_gunicorns_get_a_setuptools_that_has_pkg_resources():
    assert "setuptools<81" in given("flask\n", "20.1.0").text
    assert "setuptools" not in given("flask\n", "21.2.0").text
    assert "setuptools==60.0.0\n" in given("setuptools==60.0.0\n", "20.1.0").text
    assert "setuptools<81" not in given("setuptools==60.0.0\n", "20.1.0").text


def test_hashes_the_stages_own_are_taken_of_several_pins():
    text = (
        "gunicorn==20.0.1 --hash=sha256:01\n"
        "gunicorn==23.0.0 --hash=sha256:23 --hash=sha256:24\n"
        "packaging==21.3 --hash=sha256:99\n"
    )
    ready = given(text)
    assert ready.hashed
    assert "gunicorn==23.0.0 --hash=sha256:23 --hash=sha256:24\n" in ready.text
    assert "20.0.1" not in ready.text


def test_hashes_missing_for_the_stages_gunicorn():
    with pytest.raises(FleetError) as error:
        given("gunicorn==20.0.1 --hash=sha256:01\n")
    assert "gunicorn 23.0.0" in str(error.value)
    assert "hashes for gunicorn 20.0.1" in str(error.value)
    assert "`gunicorn==23.0.0 --hash=sha256:" in str(error.value)


def test_hashes_demanded_by_the_operator_alone():
    with pytest.raises(FleetError, match="no line for gunicorn"):
        given("flask==2.0.3\n", require_hashes=True)


@pytest.mark.parametrize("line", ["-r base.txt", "--requirement=base.txt", "-c limits.txt"])
def test_includes_from_another_machine_are_refused_by_line(line):
    with pytest.raises(FleetError, match="r.txt line 2: .*does not travel"):
        flatten("flask\n" + line + "\n", "r.txt")


def test_includes_on_the_host_are_put_in_place():
    files = {
        "/srv/base.txt": "gunicorn==20.0.1\n-r more/extra.txt\n",
        "/srv/more/extra.txt": "click\n",
        "/srv/limits.txt": "gunicorn==20.0.1\nwerkzeug<3\n",
    }
    flat = flatten("-r base.txt\nflask\n-c limits.txt\n", "r.txt", "/srv", files.__getitem__)
    ready = prepare(flat, "23.0.0", "r.txt")
    assert ready.text == "click\nflask\ngunicorn==23.0.0\n"
    assert ready.constraints == "werkzeug<3\n"


def test_files_that_include_each_other_end():
    with pytest.raises(FleetError, match="without end"):
        flatten("-r a.txt\n", "a.txt", "/srv", lambda path: "-r a.txt\n")


@pytest.mark.parametrize("line", ["-e .", "--editable=/srv/x", "-e git+https://h/r#egg=x"])
def test_editables_are_refused(line):
    with pytest.raises(FleetError, match="editable"):
        flatten(line, "r.txt")


@pytest.mark.parametrize(
    "line", [".", "./pkg", "../x.whl", "x-1.0-py3-none-any.whl", "-f wheels", "x @ ./x"]
)
def test_relative_paths_are_refused(line):
    with pytest.raises(FleetError, match="relative path"):
        flatten(line, "r.txt")


@pytest.mark.parametrize(
    "line",
    [
        "/srv/wheels/x-1.0-py3-none-any.whl",
        "x @ file:///srv/x.whl",
        "git+https://h/r@abc#egg=x",
        "-f /srv/wheels",
        "--find-links https://h/wheels",
        'x==1; python_version < "3.8"',
    ],
)
def test_what_means_the_same_everywhere_is_kept(line):
    assert line.replace("  ", " ") in given(line + "\n").text


def test_options_that_only_pip_knows():
    assert not given(
        "-i https://h/simple\n--only-binary :all:\nx==1 --hash=sha256:aa\n"
        "gunicorn==23.0.0 --hash=sha256:bb"
    ).pip_only
    assert given("--trusted-host h\nx\n").pip_only
    assert given("x==1 --config-settings=a=b\n").pip_only


def test_credentials_reach_the_installer_and_not_the_record():
    ready = given("-i https://joe:s3cret@h/simple?token=abc\nx @ https://tok@h/x.whl\n")
    assert "joe:s3cret@" in ready.text
    assert "s3cret" not in str(ready.recorded)
    assert "tok@" not in str(ready.recorded)
    assert "abc" not in str(ready.recorded)


@pytest.mark.parametrize(
    "text",
    [
        "https://u:p@h/x",
        "git+ssh://u:p@h/x",
        "http://p@h",
        "https://h/x?access_token=p&b=1",
        "https://h/?a=1&X-Amz-Signature=p",
    ],
)
def test_redact(text):
    assert not any(part in redact(text) for part in ("u:p", "p@", "token=p", "Signature=p"))
    assert redact("https://h/a@b") == "https://h/a@b"


@pytest.mark.parametrize("bad", ["", "latest", "23.*", ">=23", "23.0.0 --pre", "../x", "23;x"])
def test_one_exact_version_is_wanted(bad):
    with pytest.raises(FleetError, match="one exact version"):
        given("flask\n", bad)


def test_versions_are_compared_as_numbers():
    assert same_version("23.0", "23.0.0")
    assert not same_version("23.0.0rc1", "23.0.0")
    assert not same_version("2.30", "23.0")


def test_two_texts_that_are_told_alike_are_not_alike():
    """What is redacted is not what a release is known by."""
    one, other = (given(f"x @ https://h/x.whl?api_key={key}\n") for key in ("a", "b"))
    assert one.recorded == other.recorded
    assert one.secret != other.secret
    assert "api_key=a" not in str(one.recorded)
    assert given("x @ https://h/x.whl?version=1\n").secret == ""


@pytest.mark.parametrize(
    "line, advice",
    [
        (
            "-e git+https://git.example.net/team/lib.git@v1#egg=lib",
            "`lib @ git+https://git.example.net/team/lib.git@v1`.",
        ),
        ("-e git+https://joe:pw@h/r#egg=x", "`x @ git+https://***@h/r`, with a commit or a tag"),
        ("--editable git+ssh://git@h/r.git@abc", "`NAME @ git+ssh://***@h/r.git@abc`."),
        (
            "-e git+https://h/r@v1#egg=x&subdirectory=y",
            "`x @ git+https://h/r@v1#subdirectory=y`.",
        ),
        ("-e /srv/lib", "whenever that directory does"),
    ],
)
def test_what_to_write_instead_of_an_editable(line, advice):
    with pytest.raises(FleetError) as error:
        given(line + "\n")
    assert advice in str(error.value)
    assert ("directory does" in str(error.value)) == (line == "-e /srv/lib")
    assert "pw" not in str(error.value)


@pytest.mark.parametrize(
    "line, path",
    [
        ("/srv/lib", "/srv/lib"),
        ("/srv/lib/", "/srv/lib"),
        ("/srv/lib[extra]", "/srv/lib"),
        ("/srv/lib ; python_version > '3.6'", "/srv/lib"),
        ("/srv/x-1.0-py3-none-any.whl --hash=sha256:ab", "/srv/x-1.0-py3-none-any.whl"),
        ("lib @ file:///srv/a%20b", "/srv/a b"),
        ("lib[x]@file:///srv/lib#egg=lib", "/srv/lib"),
        ("file:///srv/lib#egg=lib", "/srv/lib"),
        ("file://localhost/srv/lib", "/srv/lib"),
    ],
)
def test_the_places_on_the_host_that_requirements_name(line, path):
    assert local_paths(logical_lines(line + "\n")) == [path]


def test_what_is_no_place_on_the_host():
    lines = logical_lines("flask==2\nx @ https://h/srv/x.whl\n-f /srv/wheels\n--pre\n")
    assert local_paths(lines) == []
    assert link_places(lines) == ["/srv/wheels"]
    lines = logical_lines("--find-links=file:///srv/w\n-f https://h/w\n")
    assert link_places(lines) == ["/srv/w"]


def test_what_has_no_hash_is_known_before_anything_is_fetched():
    with pytest.raises(FleetError) as error:
        given("flask==2.0.3\nx==1 --hash=sha256:aa\ngunicorn==23.0.0 --hash=sha256:bb\n")
    assert "some requirements have none: flask==2.0.3." in str(error.value)
