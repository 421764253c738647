"""The story of a decision, as `roboinvest explain --json` gives it: these keys and no others.

Money, prices and shares are text with their exact digits, instants are UTC. What is not known is
null; what was never there is an empty list. Every text is cleaned while it gets in (`plain`), so
that no field can be forgotten. The parts read a tick's record too, and a record may hold more than
this program knows of, or less.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from roboinvest.trading.explain.plain import Line, Prose

Figure = float | None  # None where it was not a number
Kind = Literal["tick", "time", "last", "decision", "symbol", "order"]


class Part(BaseModel):
    """A piece of the story."""

    model_config = ConfigDict(frozen=True, extra="ignore", from_attributes=True)


class Reason(Part):
    """One argument of a decision."""

    name: Line
    score: Figure = None  # in [-1, 1]; positive argues for buying
    weight: Figure = None  # share of the whole
    text: Line = ""


class Decided(Part):
    """What was decided for one symbol."""

    symbol: Line
    agent_id: Line = ""
    revision_id: Line = ""
    action: Line
    conviction: Figure = None  # in [-1, 1]
    confidence: Figure = None  # in [0, 1], from past outcomes
    stop: Decimal | None = None  # USD per share
    target: Decimal | None = None
    reasons: tuple[Reason, ...] = ()
    summary: Line = ""
    source: Line = ""  # "rules", "safe", or "openai:<model>"
    similar_setups: int = 0
    similar_mean_r: Figure = None
    cost_usd: Decimal = Decimal(0)  # its share of the answer's
    latency_ms: Figure = None


class Level(Part):
    """A price at which the market turned before, or may turn."""

    name: Line
    kind: Line = ""
    price: Figure = None
    touches: int = 0


class Regime(Part):
    """Trend and volatility."""

    trend: Line = ""
    volatility: Line = ""
    vix: Figure = None


class Seen(Part):
    """What the house saw of a symbol."""

    bar_ts: AwareDatetime | None = None  # open of the last closed bar
    close: Figure = None
    bars: int = 0
    warm: bool = False
    features: dict[Line, Figure] = Field(default_factory=dict)
    levels: tuple[Level, ...] = ()
    regime: Regime = Regime()


class Voice(Part):
    """News that hangs together by publisher or by copying."""

    source: Line = ""
    tone: Figure = None
    weight: Figure = None
    items: tuple[Line, ...] = ()


class NewsItemRead(Part):
    """One headline as it was read; the quote is a stranger's."""

    item_id: Line
    symbols: tuple[Line, ...] = ()
    event: Line = ""
    sentiment: Figure = None  # in [-1, 1]
    confidence: Figure = None  # in [0, 1]
    source: Line = ""
    published_at: AwareDatetime | None = None
    reader: Line = ""
    quote: Line = ""


class NewsFactorSeen(Part):
    """What the news of a symbol came to."""

    tone: Figure = None  # in [-1, 1]
    agreeing: int = 0  # independent voices that lean as the tone does
    voices: tuple[Voice, ...] = ()
    records: tuple[Line, ...] = ()  # ids of what it was made of


class NewsTold(Part):
    """The news of a symbol: the factor, and those of its records that are still stored."""

    factor: NewsFactorSeen | None = None
    items: tuple[NewsItemRead, ...] = ()


class Setup(Part):
    """A past setup that was compared."""

    memory_id: Line
    distance: Figure = None  # in setup-vector units
    r_multiple: Figure = None
    text: Line | None = None


class MemoriesUsed(Part):
    """Similar setups that had an outcome."""

    count: int = 0
    mean_r: Figure = None
    confidence: Figure = None
    setups: tuple[Setup, ...] = ()  # nearest first; empty where only the count was stored


class Cut(Part):
    """A limit that cut or refused, or news that leaned on the size."""

    rule: Line
    symbol: Line
    requested: Decimal  # shares
    allowed: Decimal
    text: Line = ""


class FillTold(Part):
    """One execution."""

    execution_id: Line
    client_order_id: Line
    leg: Line
    qty: Decimal  # shares, signed
    price: Decimal
    commission: Decimal
    slippage_bps: Figure = None  # signed cost against the mark at the decision
    filled_at: AwareDatetime


class JournalTold(Part):
    """What the order journal knows of an intent."""

    state: Line
    venue_id: Line | None = None
    sends: int = 0  # requests that left
    clean_lookups: int = 0  # times that the broker said it has no such order
    reason: Line = ""
    created_at: AwareDatetime
    sent_at: AwareDatetime | None = None
    limits: Prose = ""  # JSON, those in force


class OrderTold(Part):
    """An order and what became of it."""

    client_order_id: Line
    tick_id: Line
    symbol: Line
    leg: Line
    side: Line
    qty: Decimal
    order_type: Line
    time_in_force: Line
    mark: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    state: Line
    filled_qty: Decimal = Decimal(0)
    parent_id: Line | None = None  # the entry of a protective leg
    note: Line = ""  # why it ended as it did
    created_at: AwareDatetime
    updated_at: AwareDatetime
    fills: tuple[FillTold, ...] = ()
    journal: JournalTold | None = None


class TradeTold(Part):
    """A round trip."""

    trade_id: Line
    symbol: Line
    qty: Decimal
    entry_price: Decimal
    exit_price: Decimal
    commission: Decimal  # both sides
    pnl: Decimal  # after commission
    r_multiple: Figure = None
    opened_at: AwareDatetime
    closed_at: AwareDatetime
    exit_leg: Line
    entry_order_id: Line
    exit_order_id: Line
    entry_tick: Line | None = None  # where each was decided
    exit_tick: Line | None = None


class Came(Part):
    """What a setup came to."""

    kind: Line  # "trade", or "shadow" where nobody traded it
    r_multiple: Figure = None
    closed_at: AwareDatetime | None = None
    how: Line = ""


class Cell(Part):
    """Outcomes of setups of one range of conviction, as counted by now."""

    low: float  # of conviction
    high: float
    wins: int
    losses: int
    confidence: float  # that they are worth


class Lesson(Part):
    """What was remembered of a decision, and what it came to."""

    memory_id: Line
    text: Line = ""
    entry: Decimal
    stop: Decimal
    target: Decimal
    outcome: Came | None = None  # None: not known yet
    cell: Cell | None = None


class DecisionTold(Part):
    """One symbol at one tick, from what was seen to what was learnt."""

    symbol: Line
    answer: Line  # one sentence
    traded: bool  # shares were bought or sold because of it
    decision: Decided | None = None  # None: the tick's record was dropped, or it was an order alone
    seen: Seen | None = None
    news: NewsTold | None = None
    memories: MemoriesUsed = MemoriesUsed()
    held: Decimal | None = None  # shares before it; None: not stored
    cuts: tuple[Cut, ...] = ()
    refusals: tuple[Line, ...] = ()  # of intents that were refused whole
    orders: tuple[OrderTold, ...] = ()
    trades: tuple[TradeTold, ...] = ()
    lesson: Lesson | None = None


class Call(Part):
    """One request to a model."""

    call_id: Line
    at: AwareDatetime
    model: Line
    purpose: Line = ""  # "answer", "repair", "look-up"
    state: Line = ""
    input_tokens: int | None = None  # None: nobody counted
    cached_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: Decimal = Decimal(0)
    is_estimated: bool = False  # charged what was reserved
    latency_ms: Figure = None
    failure: Line | None = None
    prompt: Prose | None = None  # None: dropped since
    reply: Prose | None = None


class Ask(Part):
    """One question to a model or to the rules, and how it was answered."""

    ask_id: Line
    at: AwareDatetime
    task: Line
    prompt_name: Line = ""
    prompt_version: Line = ""
    inputs_digest: Line = ""
    source: Line
    reason: Line = ""  # why it was not the model's own answer
    attempts: int = 0
    cost_usd: Decimal = Decimal(0)
    latency_ms: Figure = None
    looked_up: tuple[Line, ...] = ()
    calls: tuple[Call, ...] = ()


class CapMoved(Part):
    """What became of the cap."""

    before: Decimal | None = None
    after: Decimal | None = None
    reason: Line = ""


class Money(Part):
    """The language-model budget after the tick, in USD."""

    cap_usd: Decimal | None = None
    spent_usd: Decimal | None = None
    move: CapMoved | None = None


class TickTold(Part):
    """The tick that it all happened at."""

    tick_id: Line
    at: AwareDatetime
    session_day: date
    has_record: bool  # False: retention kept its figures only
    trading_state: Line | None = None
    state_reason: Line = ""
    suspended: dict[Line, Line] = Field(default_factory=dict)  # symbol -> why not trusted
    actions: tuple[Line, ...] = ()  # splits and dividends
    buys: int
    sells: int
    holds: int
    orders: int
    fills: int
    rejected: int
    equity: Decimal  # USD, after the tick
    cash: Decimal
    budget: Money | None = None
    digest: Line


class Story(Part):
    """The answer."""

    schema_version: Literal[1] = 1
    asked: Line  # as it was typed
    kind: Kind
    answer: Line  # one sentence
    order_id: Line | None = None  # the order that was asked about
    tick: TickTold | None  # None: the order is older than anything stored of its tick
    decisions: tuple[DecisionTold, ...] = ()  # of the symbols asked about, sorted
    asks: tuple[Ask, ...] = ()  # in the order in which they ended
    notes: tuple[Line, ...] = ()  # what was assumed about the question
    gaps: tuple[Line, ...] = ()  # what could not be told, and why
