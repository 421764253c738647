"""From a prompt's text to its parts, with everything checked that can be checked before a call."""

from __future__ import annotations

from roboinvest.runtime.prompts.form import PromptText, parts_of


def read_prompt(text: str, *, where: str) -> PromptText:
    """Return a prompt's parts; `where` names it in errors. The first call loads Jinja.

    Raises:
        BadInput: a rule of the form is broken; one sentence with the line and what to write.
    """
    from roboinvest.runtime.prompts.sandbox import check_templates

    prompt = parts_of(text, where)
    check_templates(prompt, where)
    return prompt
