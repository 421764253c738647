"""How many input tokens a request can be at most, from its bytes alone: what is reserved for it.

The tables of tokenizers would need the network, and differ between models. What holds for all in
use is that they cut text into bytes or larger parts, so A TEXT NEVER HAS MORE TOKENS THAN UTF-8
BYTES. Nothing finer is taken: counted with byte-pair vocabularies of 32,000 and 100,000 tokens,
prose had 0.3 tokens per byte and bars in JSON 0.5, but rare letters, capitals and base64 had up to
0.8, rare scripts up to 0.95, and models that cut numbers digit by digit have 1 for every digit. A
rule that saves much on prose is one that hostile text can break. So prose reserves three times what
it costs, for the seconds until it is settled.

On top come the frames of messages, the form and the tools as they are sent, and what templates add.

Where it can fail, and a call be settled above its reservation: a server that adds text of its own
(a long system prompt, pages it looked up); a tokenizer that first rewrites text into a longer one
(some compatibility characters); a server that ignores the limit of tokens for the reply. Such a
cost is recorded in full and told at once; it can pass a cap by that excess alone.
"""

from __future__ import annotations

import functools
import json
from typing import Any, Final

from pydantic import BaseModel

from roboinvest.runtime.llm.provider import ChatRequest, Message, schemas_of

_REQUEST: Final = 64  # tokens: the start of the reply, a date, a model's own first sentence
_MESSAGE: Final = 16  # tokens: who speaks, where it begins and ends
_FORM: Final = 128  # tokens: the frame of the reply's form, and what makes its schema strict
_TOOLS: Final = 320  # tokens: how templates explain to a model that it can call tools
_MOST_FORMS: Final = 64  # whose sizes are kept; there are a dozen


def tokens_at_most(request: ChatRequest) -> int:
    """Return how many input tokens a request can have."""
    count = _REQUEST + _FORM + _schema_bytes(request.form)
    count += sum(_of_message(message) for message in request.messages)
    if request.tools:
        count += _TOOLS + _json_bytes(schemas_of(request.tools))
    return count


def _of_message(message: Message) -> int:
    count = _MESSAGE + _utf8_bytes(message.text) + _utf8_bytes(message.answers or "")
    for call in message.tool_calls:
        count += _MESSAGE + _json_bytes([call.call_id, call.name, dict(call.arguments)])
    return count


@functools.lru_cache(_MOST_FORMS)
def _schema_bytes(form: type[BaseModel]) -> int:
    return _json_bytes(form.model_json_schema())


def _json_bytes(value: Any) -> int:  # noqa: ANN401 JSON has no narrower type
    return len(json.dumps(value, default=str))  # ASCII: what is not is written longer


def _utf8_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
