"""What is wrong with a prompt's text is said at the start: the place, the line, what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from roboinvest.core.errors import BadInput, BadSettings
from roboinvest.runtime.prompts.files import PromptFiles
from roboinvest.runtime.prompts.form import Kind
from roboinvest.runtime.prompts.reading import read_prompt
from tests.fakes.prompts import RULES, a_prompt

GOOD = a_prompt()


def refused(text: str) -> str:
    with pytest.raises(BadInput) as error:
        read_prompt(text, where="p.md")
    sentence = str(error.value)
    assert sentence.startswith("p.md")
    assert "\n" not in sentence
    return sentence


def test_a_prompt_in_good_form_is_read() -> None:
    prompt = read_prompt(GOOD, where="p.md")
    assert prompt.placeholders == {"at": Kind.TEXT, "symbols": Kind.JSON}
    assert prompt.temperature == 0.2
    assert prompt.protected == RULES


@pytest.mark.parametrize(
    ("before", "after", "line", "said"),
    [
        ("+++\nt", "t", 1, "begins with a line of +++"),
        ("+++\n--- system", "--- system", 1, "the head is not closed"),
        ("temperature = 0.2", "temperature 0.2", 1, "not TOML"),
        ("temperature = 0.2", "temperature = 2.5", 2, "a number from 0 to 2"),
        ("temperature = 0.2", "temperature = nan", 2, "a number from 0 to 2"),
        ("temperature = 0.2", "temperature = true", 2, "a number from 0 to 2"),
        ("temperature = 0.2\n", "", 1, "write temperature"),
        ("temperature = 0.2", 'temperature = 0.2\nmodel = "x"', 3, "no 'model'"),
        ('at = "text"', 'at = "string"', 5, "has the type 'string'; there are text, number"),
        ('at = "text"', "at = 3", 5, "has the type 3"),
        ('at = "text"', '_at = "text"', 5, "is no name of a placeholder"),
        ('at = "text"', 'loop = "text"', 5, "is no name of a placeholder"),
        ('[placeholders]\nat = "text"\nsymbols = "json"', "placeholders = 3", 4, "[placeholders]"),
        ('at = "text"', 'at = "text"\nmore = "text"', 1, "more is declared and not used"),
        ("{{ at }}", "now", 1, "at is declared and not used"),
        ("{{ at }}", "{{ at }} {{ day }}", 16, "'day' is used and not declared"),
        ("--- system ---\n", "", 14, "'--- system ---' once"),
        ("--- user ---\n", "", 8, "'--- user ---' once"),
        ("--- user ---", "--- user ---\n--- user ---", 8, "each on its own line"),
        ("--- system ---", "stray\n--- system ---", 8, "text stands before"),
        ("It is {{ at }}: {{ symbols|tojson }}\n", " \n", 15, "the user section is empty"),
        ("{# protected #}\n", "", 12, "exactly one protected block"),
        ("{# protected #}", "{# protected #}\n{# protected #}", 11, "exactly one protected block"),
        ("{# end protected #}\n", "", 10, "exactly one protected block"),
        (RULES, " ", 10, "the protected block is empty"),
        ("It is", "{# protected #}\nIt is", 16, "belongs in the system section"),
        ("It is", "It\u200b is", 16, "U+200B cannot be seen"),
        ("It is", "It\r is", 16, "U+000D cannot be seen"),
        ("It is", "It \U000e0041 is", 16, "U+E0041 cannot be seen"),
        ("You decide.", "{{ symbols|upper }}", 9, "there is no filter 'upper'"),
        ("{{ at }}", "{{ at", 16, "expected token"),
        ("{{ at }}", "{{ at }}\n{% if at %}", 17, "Unexpected end of template"),
        ("{{ at }}", "{{ " + "(" * 3000, 16, "brackets nest deeper"),
        ("{{ at }}", "{{ at == " + "9" * 5000 + " }}", 16, "too many digits"),
        ("{{ at }}", "{{ " + "not " * 60 + "at }}", 16, "nests deeper than 40"),
        ("{{ at }}", "{% if at %}" * 7 + "x" + "{% endif %}" * 7, 16, "6 loops and conditions"),
    ],
)
def test_a_fault_is_one_sentence_with_its_line(
    before: str, after: str, line: int, said: str
) -> None:
    assert before in GOOD
    sentence = refused(GOOD.replace(before, after, 1))
    assert f"line {line}:" in sentence
    assert said in sentence


def test_nothing_can_be_laid_around_the_protected_block() -> None:
    for opens, closes in (
        ("{% if false %}", "{% endif %}"),
        ("{% raw %}", "{% endraw %}"),
        ("{% for x in [] %}", "{% endfor %}"),
        ("{{", "}}"),
    ):
        assert "line" in refused(a_prompt(system=opens).replace("Be brief.", closes))


def test_a_fault_in_a_file_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.md").write_text(GOOD.replace("{{ at }}", "{{ day }}"))
    with pytest.raises(BadSettings, match=r"a/b\.md, line 16: 'day' is used and not declared"):
        PromptFiles(tmp_path).read("a/b")


def test_untrusted_text_has_no_place_in_the_system_section() -> None:
    placeholders = {"at": "untrusted", "symbols": "json"}
    assert "line 9: at is untrusted; write it in the user section" in refused(
        a_prompt(system="{{ at }}", placeholders=placeholders)
    )
    read_prompt(a_prompt(placeholders=placeholders), where="p.md")
