"""Texts in templates: what is put into them is escaped, in every language and in every way of writing them."""

import pytest

from stoa.web.words import PSEUDO
from tests.web.rendering import shared_pages

PAGES = shared_pages(development=True)
HOSTILE = "<b>&"


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ('{{ _("Held") }}', "Held"),
        ('{{ _("A & B") }}', "A & B"),
        ('{{ _("100 %%") }}', "100 %"),
        ('{{ gettext("Of %(name)s", name=name) }}', "Of &lt;b&gt;&amp;"),
        ('{{ ngettext("%(num)s run", "%(num)s runs", 1) }}', "1 run"),
        (
            '{{ ngettext("%(num)s run of %(name)s", "%(num)s runs of %(name)s", 3, name=name) }}',
            "3 runs of &lt;b&gt;&amp;",
        ),
        ("{% trans %}Of {{ name }}{% endtrans %}", "Of &lt;b&gt;&amp;"),
        ("{% trans n=2 %}{{ n }} run{% pluralize %}{{ n }} runs{% endtrans %}", "2 runs"),
        ("{% macro said(x) %}{{ x }}{% endmacro %}{{ said(name) }}", "&lt;b&gt;&amp;"),
        (
            "{% macro around() %}({{ caller() }}){% endmacro %}{% call around() %}{{ name }}{% endcall %}",
            "(&lt;b&gt;&amp;)",
        ),
    ],
)
def test_what_is_put_into_a_text_is_escaped(template: str, told: str) -> None:
    assert PAGES.environment.from_string(template).render(name=HOSTILE) == told


def test_a_text_is_said_in_the_language_of_its_page() -> None:
    template = '{{ _("Held") }} {{ _("Of %(name)s", name=name) }}'
    found = [PAGES.environments[one].from_string(template).render(name=HOSTILE) for one in ("en", PSEUDO, "en")]
    assert found == ["Held Of &lt;b&gt;&amp;", "⟦Held⟧ ⟦Of &lt;b&gt;&amp;⟧", "Held Of &lt;b&gt;&amp;"]
