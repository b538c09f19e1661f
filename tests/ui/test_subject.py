"""What a prompt is about."""

from __future__ import annotations

import pytest

from easyedit_ice.ui.subject import subject_in


@pytest.mark.parametrize(
    ("prompt", "subject"),
    [
        ("The mother tongue of Danielle Darrieux is", "Danielle Darrieux"),
        ("Danielle Darrieux's native language is", "Danielle Darrieux"),
        ("Faeso Faerkov has a job at", "Faeso Faerkov"),
        ("The iPhone was developed by", "iPhone"),
        ("Internet Explorer 5 was developed by", "Internet Explorer 5"),
        ("In Paris, the mayor of Paris is", "Paris"),
        ("Die Stadt Köln liegt in", "Die Stadt Köln"),
        ("The wife of Victor Hugo in Paris is", None),
        ("the colour of the sky is", None),
        ("", None),
    ],
)
def test_the_one_name_in_a_prompt_is_its_subject(prompt, subject):
    assert subject_in(prompt) == subject
