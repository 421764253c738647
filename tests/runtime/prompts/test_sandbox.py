"""A template that reaches for more than its values is refused before it is compiled.

And what is left cannot take long or grow without end, whatever its values are.
"""

from __future__ import annotations

from time import perf_counter

import pytest

from roboinvest.core.errors import BadInput
from roboinvest.runtime.prompts.reading import read_prompt
from roboinvest.runtime.prompts.rendering import PromptRenderer
from roboinvest.runtime.prompts.sandbox import MAX_RENDERED
from tests.fakes.prompts import MARKER, a_prompt, a_version

ATTACKS = [
    "{{ ''.__class__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ at.__init__.__globals__ }}",
    "{{ at['__class__'] }}",
    "{{ at|attr('__class__') }}",
    "{{ at|map(attribute='__class__')|list }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner }}",
    "{{ namespace(a=1) }}",
    "{{ lipsum() }}",
    "{{ self }}",
    "{{ self._TemplateReference__context }}",
    "{{ super() }}",
    "{{ caller() }}",
    "{{ varargs }}",
    "{{ dict(a=1) }}",
    "{{ range(10**9)|length }}",
    "{% for x in range(1000000000) %}{% endfor %}",
    "{{ 'a' * 1000000000 }}",
    "{{ 10 ** 10 ** 10 }}",
    "{{ 'a' ~ 'b' }}",
    "{{ '%s' % at }}",
    "{{ '{0.__class__}'.format(at) }}",
    "{{ '{}'|format(at) }}",
    "{{ at.format(at) }}",
    "{{ at.encode() }}",
    "{{ [1, 2] }}",
    "{{ {'a': 1} }}",
    "{{ (1, 2) }}",
    "{{ symbols[0:2] }}",
    "{{ symbols[at] }}",
    "{{ symbols.append(1) }}",
    "{% set x = 1 %}",
    "{% set x %}a{% endset %}",
    "{% with x = 1 %}{{ x }}{% endwith %}",
    "{% include '/etc/passwd' %}",
    "{% import 'x' as y %}",
    "{% from 'x' import y %}",
    "{% extends 'x' %}",
    "{% block a %}{% endblock %}",
    "{% macro a() %}{% endmacro %}",
    "{% call at() %}{% endcall %}",
    "{% filter upper %}a{% endfilter %}",
    "{% autoescape true %}a{% endautoescape %}",
    "{% for x in symbols recursive %}{{ loop(x) }}{% endfor %}",
    "{% for x in symbols recursive %}{{ x }}{% endfor %}",
    "{% for a, b in symbols %}{{ a }}{% endfor %}",
    "{% for at in symbols %}{{ at }}{% endfor %}",
    "{% for x in symbols %}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% for x in symbols %}{{ loop.__class__ }}{% endfor %}",
    "{% for x in symbols %}{{ loop }}{% endfor %}",
    "{{ _steps }}",
    "{{ symbols|_each(1) }}",
    "{{ at is callable }}",
    "{{ at|tojson(indent=2) }}",
    "{{ at|join(at) }}",
    "{{ -at }}",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_template_that_reaches_for_more_is_refused(attack: str) -> None:
    text = a_prompt(f"{{{{ at }}}} {{{{ symbols|tojson }}}}\n{attack}")
    with pytest.raises(BadInput, match=r"^p, line 17: "):
        read_prompt(text, where="p")


def rendered(user: str, at: str = "noon", symbols: object = None) -> str:
    version = a_version(
        a_prompt(f"{user}{{# {{{{ at }}}} #}}{{% if symbols and at %}}{{% endif %}}")
    )
    values = {"at": at, "symbols": symbols}
    return PromptRenderer(str).render(version, values, MARKER)[1].text


@pytest.mark.parametrize(
    "attack", [*ATTACKS, "{# x", "{{", "}}", "{% raw %}", "\x00", "--- user ---"]
)
def test_a_value_is_never_run(attack: str) -> None:
    assert rendered("<{{ at }}>", at=attack) == f"<{attack}>"
    assert rendered("<{{ symbols.a }}>", symbols={"a": attack}) == f"<{attack}>"


@pytest.mark.parametrize(
    ("user", "symbols", "shown"),
    [
        ("{{ symbols.a.b }}", {"a": {"b": 3}}, "3"),
        ("{{ symbols['a'][1] }}", {"a": [1, 2.5]}, "2.5"),
        ("{{ symbols[-1] }}", ["x", "y"], "y"),
        ("{{ symbols.items }}", {"items": "own"}, "own"),
        ("{% for s in symbols %}{{ loop.index }}{{ s }}{% endfor %}", ["a", "b"], "1a2b"),
        ("{% for s in symbols if s %}{{ s }}{% else %}none{% endfor %}", [], "none"),
        ("{% for s in symbols if s != 'a' %}{{ s }}{% endfor %}", ["a", "b"], "b"),
        ("{{ symbols|join(', ') }} ({{ symbols|length }})", ["a", 1, True], "a, 1, true (3)"),
        ("{{ symbols|round(2) }}", 3.14159, "3.14"),
        ("{{ symbols|round }}", 2.0, "2"),
        ("{{ 'held' if symbols else 'flat' }}", 0, "flat"),
        ("{% if symbols is none %}nothing{% endif %}", None, "nothing"),
        ("{% if symbols.x is defined %}x{% else %}no x{% endif %}", {}, "no x"),
        ("{{ symbols|tojson }}", {"b": 1.0, "a": "<é>"}, '{"a":"<é>","b":1}'),
        ("{% if symbols > -2 and symbols <= 3 %}in{% endif %}", 1, "in"),
    ],
)
def test_what_is_left_is_enough(user: str, symbols: object, shown: str) -> None:
    assert rendered(user, symbols=symbols) == shown


@pytest.mark.parametrize(
    ("user", "symbols", "said"),
    [
        ("{{ symbols.a }}", {"b": 1}, "there is no key 'a'"),
        ("{{ symbols.a.b }}", {}, "there is no key 'a'"),
        ("{{ symbols[3] }}", [1], "no item 3"),
        ("{{ symbols.keys }}", {"b": 1}, "there is no key 'keys'"),
        ("{{ symbols.append }}", [1], "a list has no 'append'"),
        ("{{ symbols.upper }}", "x", "a text has no 'upper'"),
        ("{{ symbols }}", {"b": 1}, "write {{ value|tojson }}"),
        ("{{ symbols }}", [1], "write {{ value|tojson }}"),
        ("{{ symbols }}", None, "write {{ value|tojson }}"),
        ("{% for s in symbols %}{% endfor %}", "text", "a loop goes over a list"),
        ("{% for s in symbols %}{% endfor %}", {"a": 1}, "a loop goes over a list"),
        ("{{ symbols|join }}", "text", "join takes a list"),
        ("{{ symbols|length }}", 3, "has no length"),
        ("{{ symbols|round(2) }}", "x", "round takes a number"),
        ("{{ symbols|round('x') }}", 1.5, "0 to 12 digits"),
        ("{{ symbols < 3 }}", "x", "not supported"),
    ],
)
def test_a_value_that_does_not_fit_its_template_is_said(
    user: str, symbols: object, said: str
) -> None:
    with pytest.raises(BadInput) as error:
        rendered(user, symbols=symbols)
    assert said in str(error.value)
    assert "the prompt strategy/decide cannot be written" in str(error.value)


LOOPS = "{% for a in symbols %}{% for b in symbols %}{% for c in symbols %}"
ENDS = "{% endfor %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    ("user", "size", "said"),
    [
        (LOOPS + ENDS, 5_000, "steps"),
        (LOOPS + "{% if a == b %}{% endif %}" * 500 + ENDS, 1_000, "steps"),
        (LOOPS + "{% if symbols|tojson == '' %}{% endif %}" + ENDS, 5_000, "steps"),
        (LOOPS + "{% if symbols|join == '' %}{% endif %}" + ENDS, 5_000, "steps"),
        ("{% for a in symbols %}{{ symbols|tojson }}{% endfor %}", 900, f"{MAX_RENDERED}"),
    ],
)
def test_no_template_takes_long_or_grows_without_end(user: str, size: int, said: str) -> None:
    began = perf_counter()
    with pytest.raises(BadInput, match=said):
        rendered(user, symbols=list(range(size)))
    assert perf_counter() - began < 5.0  # a bound on hanging, not a measurement
