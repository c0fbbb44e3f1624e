# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How Sphinx makes the site: `make docs`."""

from pathlib import Path

import yaml

GALAXY = yaml.safe_load((Path(__file__).resolve().parents[2] / "galaxy.yml").read_text())

project = f"{GALAXY['namespace']}.{GALAXY['name']}"
author = ", ".join(GALAXY["authors"])
version = release = GALAXY["version"]
html_title = f"{project} {release}"
html_short_title = project

extensions = ["myst_parser", "sphinx_antsibull_ext"]
html_theme = "sphinx_ansible_theme"
html_theme_options = {"documentation_home_url": "", "topbar_links": {}}
html_show_sphinx = False
html_copy_source = False
html_show_copyright = False
pygments_style = "ansible"
# A block that does not name its language is a screen or a command.
highlight_language = "none"

# As GitHub makes anchors of headings.
myst_heading_anchors = 4

nitpicky = True
# Ansible's own pages are elsewhere, and a build asks no network.
nitpick_ignore_regex = [
    ("std:ref", r"ansible_collections\.ansible\.builtin\..*"),
    (
        "std:ref",
        "action_plugins|ansible_configuration_settings|callback_plugins|common_return_values",
    ),
    ("std:envvar", "ANSIBLE_(DISPLAY_SKIPPED_HOSTS|SHOW_CUSTOM_STATS)"),
]
# A page may go from its title to small headings, as known-problems.md does.
suppress_warnings = ["myst.header"]
