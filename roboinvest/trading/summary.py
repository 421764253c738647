"""What a run came to, as one JSON object: the answer of a replay to whoever started it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from roboinvest.core.market.updates import DataCounts
from roboinvest.core.records import EMPTY_DIGEST
from roboinvest.runtime.llm.hindsight.contamination import Cutoffs
from roboinvest.runtime.store import Store
from roboinvest.trading.tick import TickRunner


async def summarise(
    store: Store,
    runner: TickRunner,
    counts: DataCounts,
    *,
    mode: str,
    symbols: Sequence[str],
    cutoffs: Cutoffs | None = None,
) -> dict[str, Any]:
    """Return the figures of the whole run, also of the parts before a restart.

    Money is in USD, rounded to cents. `orders` counts what was sent, protective legs included.
    `cutoffs` says what models may remember; `contamination` is null where none was asked.
    """
    totals, figures = await store.totals(), runner.books.account.figures
    last = next(iter(await store.recent_ticks(1)), None)
    budget = runner.books.budget.figures
    curve = await store.session_equity() if cutoffs else ()
    remembered = (
        cutoffs.judge(budget.asks, curve[0].session_day, curve[-1].session_day)
        if cutoffs and curve
        else None
    )
    return {
        "mode": mode,
        "symbols": list(symbols),
        "sessions": totals.sessions,
        "ticks": totals.ticks,
        "decisions": {"BUY": totals.buys, "SELL": totals.sells, "HOLD": totals.holds},
        "orders": totals.orders,
        "fills": totals.fills,
        "rejected": totals.rejected,
        "trades": totals.trades,
        "equity_start": round(float(figures.start_equity), 2),
        "equity_end": round(float(figures.equity), 2),
        "benchmark_equity_end": round(float(runner.books.benchmark.equity()), 2),
        "memories": totals.memories,
        "llm": {
            "calls": sum(budget.asks.values()),
            "cost_usd": round(float(budget.total_usd), 6),
            "by_source": dict(budget.asks),
        },
        "contamination": remembered.to_json() if remembered else None,
        "data": {
            "rows": counts.rows,
            "used": counts.used,
            "quarantined": counts.quarantined,
            "by_reason": dict(counts.by_reason),
        },
        "decision_digest": last.digest if last else EMPTY_DIGEST,
    }
