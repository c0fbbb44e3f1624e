from __future__ import annotations

from pathlib import Path

import yaml

ROLE = Path(__file__).parents[3] / "roles" / "settings"
REQUIRED = {"app_home", "app_program", "app_health_url"}


def load(path):
    return yaml.safe_load((ROLE / path).read_text())


def test_each_input_has_the_same_default_in_both_places():
    options = load("meta/argument_specs.yml")["argument_specs"]["validate"]["options"]
    declared = {name: option["default"] for name, option in options.items() if "default" in option}
    defaults = load("defaults/main.yml")
    # A template is no number: who reads the declaration alone (antsibull, Galaxy) is told in words.
    in_words = {name for name in defaults if name not in declared}
    assert declared == {name: defaults[name] for name in defaults if name not in in_words}
    for name in in_words:
        assert "{{" in defaults[name] and "The default is" in str(options[name]["description"])


def test_only_what_nobody_can_guess_is_required():
    options = load("meta/argument_specs.yml")["argument_specs"]["validate"]["options"]
    assert {name for name, option in options.items() if option.get("required")} == REQUIRED


def test_each_input_is_explained():
    options = load("meta/argument_specs.yml")["argument_specs"]["validate"]["options"]
    assert all(option.get("description") and option.get("type") for option in options.values())


def test_secrets_are_not_logged():
    options = load("meta/argument_specs.yml")["argument_specs"]["validate"]["options"]
    hidden = {name for name, option in options.items() if option.get("no_log")}
    assert hidden == {
        "service_supervisor_password",
        "release_index_url",
        "release_extra_index_urls",
        "release_boot_environment",
    }
