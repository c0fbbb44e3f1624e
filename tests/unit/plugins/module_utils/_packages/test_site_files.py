# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of site-packages belongs to nobody, and what a directory holds."""

import os

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages import site_files as files
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.venv import read_sites

from tests.unit.plugins.module_utils._packages.paper_site import make_site, setup_py, wheel, write


@pytest.fixture
def site(tmp_path):
    made = make_site(tmp_path / "venv")
    wheel(made, "flask", "2.0.3", {"flask/__init__.py": "x = 1\n", "flask/app.py": "y = 2\n"})
    setup_py(made, "future", "0.18", {"future/__init__.py": "", "past/__init__.py": ""})
    return made


def nobodys(site):
    (found,) = read_sites(str(site.parents[2]))
    return [entry.path for entry in found.unowned]


def test_what_packages_and_tools_put_there_is_theirs(site):
    for path in (
        "__pycache__/x.pyc",
        "flask/__pycache__/app.cpython-311.pyc",
        "flask/__pycache__/app.nbi",
        "flask/app.pyc",
        "distutils-precedence.pth",
        "_virtualenv.py",
        "_virtualenv.pth",
        "~lask/__init__.py",
        "-ip/__init__.py",
        "flask/.app.py.swp",
        ".DS_Store",
        "tldextract/.suffix_cache/x.json",
        "left-1.0.dist-info/REQUESTED",
    ):
        write(site, path, "x")
    (site / "empty").mkdir()
    write(site, "easy-install.pth", "import sys; sys.__plen = len(sys.path)\n/is/not/there\n")
    assert nobodys(site) == []


@pytest.mark.parametrize(
    "path",
    [
        "config_local.py",
        "sitecustomize.py",
        "flask/config_local.py",
        "flask/config.ini",
        "compiled.pyc",
        "mine.so",
        "mine-1.0-py3.6.egg",
        "data.json",
    ],
)
def test_what_somebody_laid_there_is_nobodys(site, path):
    write(site, path, "x")
    assert nobodys(site) == [path]


def test_a_directory_is_named_once_as_far_up_as_nothing_in_it_is_owned(site):
    for path in ("mine/a.py", "mine/b/c.py", "flask/ext/x/y.py", "flask/ext/z.py"):
        write(site, path)
    assert nobodys(site) == ["flask/ext", "mine"]


def test_a_link_is_named_and_not_followed(site, tmp_path):
    write(tmp_path, "src/mine/__init__.py")
    os.symlink(str(tmp_path / "src/mine"), str(site / "mine"))
    assert nobodys(site) == ["mine"]


def test_a_pth_that_leads_somewhere_is_told_with_where_it_leads(site, tmp_path):
    (tmp_path / "code").mkdir()
    write(site, "mine.pth", f"# a comment\n{tmp_path}/code\n/is/not/there\n")
    write(site, "hook.pth", "import os; os.environ['X'] = '1'\n")
    write(site, "nowhere.pth", "/is/not/there\n")
    (found,) = read_sites(str(site.parents[2]))
    assert [(e.path, e.leads_to) for e in found.unowned] == [
        ("hook.pth", ("code that it runs",)),
        ("mine.pth", (f"{tmp_path}/code",)),
    ]


def test_an_egg_of_easy_install_is_named_with_its_pth(site):
    write(site, "mine-1.0-py3.6.egg/mine.py")
    write(site, "easy-install.pth", "./mine-1.0-py3.6.egg\n")
    assert nobodys(site) == ["easy-install.pth", "mine-1.0-py3.6.egg"]


def test_an_editable_install_is_told_as_such_and_its_pth_not_again(site, tmp_path):
    (tmp_path / "src").mkdir()
    write(site, "mine.egg-link", f"{tmp_path}/src\n.")
    write(site, "easy-install.pth", f"{tmp_path}/src\n")
    assert nobodys(site) == []


def test_a_package_without_a_list_owns_what_it_is_called(site):
    write(site, "old_one-1.0.egg-info", "Metadata-Version: 1.1\nName: old-one\nVersion: 1.0\n")
    write(site, "old_one.py")
    write(site, "old_one2.py")
    assert nobodys(site) == ["old_one2.py"]


def test_a_list_with_a_comma_in_a_name_and_paths_outside(site):
    wheel(site, "odd", "1.0", {"odd/a,b.py": ""}, extra="/etc/passwd,,\n")
    assert nobodys(site) == []
    (found,) = read_sites(str(site.parents[2]))
    owner = next(o for o in found.owners if o.name == "odd")
    assert not [f for f in owner.files if f.startswith((".", "/"))]


def test_what_the_operator_names():
    entries = [files.Entry(p) for p in ("a.py", "b.pth", "c/d.ini", "e")]
    carried, left, open_ = files.split(entries, ["a.py", "e/"], ["*.pth", "a.py"])
    assert [[e.path for e in group] for group in (carried, left, open_)] == [
        ["a.py", "e"],
        ["b.pth"],
        ["c/d.ini"],
    ]


def test_many_are_counted():
    text = files.told([files.Entry(str(n)) for n in range(40)])
    assert text.endswith("11 and 28 more")


# --- content


def test_a_tree_is_its_source(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for top in (one, other):
        write(top, "pkg/a.py", "a = 1\n")
        write(top, "pkg/build/b.py", "b = 1\n")
    assert files.tree_sha256(str(one)) == files.tree_sha256(str(other))
    for path in ("build/lib/pkg/a.py", "pkg.egg-info/PKG-INFO", ".git/HEAD", "pkg/a.pyc"):
        write(other, path, "x")
    write(other, "pkg/__pycache__/a.cpython-311.pyc", "x")
    os.utime(str(other / "pkg/a.py"), (1, 1))
    assert files.tree_sha256(str(one)) == files.tree_sha256(str(other))
    write(other, "pkg/build/b.py", "b = 2\n")
    assert files.tree_sha256(str(one)) != files.tree_sha256(str(other))


@pytest.mark.parametrize("change", ["content", "name", "mode", "link"])
def test_a_change_of_a_tree_is_seen(tmp_path, change):
    write(tmp_path, "pkg/a.py", "a = 1\n")
    before = files.tree_sha256(str(tmp_path))
    path = tmp_path / "pkg/a.py"
    if change == "content":
        path.write_text("a = 2\n")
    elif change == "name":
        path.rename(tmp_path / "pkg/b.py")
    elif change == "mode":
        path.chmod(0o755)
    else:
        path.unlink()
        os.symlink("/etc/hosts", str(path))
    assert files.tree_sha256(str(tmp_path)) != before


def test_what_is_copied_is_whole_and_links_are_not_followed(tmp_path):
    site, target = tmp_path / "site", tmp_path / "target"
    target.mkdir()
    write(site, "mine/deep/a.py", "a = 1\n").chmod(0o755)
    write(site, "mine/__pycache__/a.pyc", "x")
    write(site, "mine/only.pyc", "x")
    os.symlink("/etc/shadow", str(site / "mine/secret"))
    files.copy_entry(str(site), "mine", str(target))
    assert files.content_sha256(str(target / "mine")) == files.content_sha256(str(site / "mine"))
    assert os.readlink(str(target / "mine/secret")) == "/etc/shadow"
    assert sorted(p.name for p in (target / "mine").iterdir()) == ["deep", "only.pyc", "secret"]


def test_who_exchanges_a_directory_leads_nowhere(tmp_path):
    site, target = tmp_path / "site", tmp_path / "target"
    target.mkdir()
    write(tmp_path, "elsewhere/a.py", "secret")
    site.mkdir()
    os.symlink(str(tmp_path / "elsewhere"), str(site / "flask"))
    with pytest.raises(OSError):
        files.copy_entry(str(site), "flask/a.py", str(target))


def test_a_fifo_is_no_file(tmp_path):
    os.mkfifo(str(tmp_path / "pipe"))
    with pytest.raises(FleetError):
        files.file_sha256(str(tmp_path / "pipe"))
