"""A run as JSON: every figure with its definition, money as text, null where there is none.

The schema has a version. Adding a key leaves it as it is; a key that goes or changes its meaning
raises it.
"""

from __future__ import annotations

import json
import math
from datetime import date
from decimal import Decimal
from typing import Any, Final

from roboinvest.core.market.grid import from_units
from roboinvest.core.records import to_plain
from roboinvest.core.risk import limits_snapshot
from tools.backtester.contract import BacktestResult, RoundTrip, Terms
from tools.backtester.report.definitions import RULES
from tools.backtester.report.evidence import Evidence
from tools.backtester.report.measures.attribution import Attribution, Group, attributions
from tools.backtester.report.measures.costs import costs_of, exposure_by_bar, reckoning
from tools.backtester.report.measures.curves import days_of, worst_falls, years
from tools.backtester.report.notices import notices_of
from tools.backtester.report.tables import FigureRow, figure_rows, headline
from tools.backtester.report.words import iso_utc, plain

SCHEMA_VERSION: Final = 1
Json = dict[str, Any]


def json_report(result: BacktestResult, evidence: Evidence) -> Json:
    """Return a report of plain JSON types, which `json.dumps(..., allow_nan=False)` takes."""
    mean, held = exposure_by_bar(result)
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "backtest",
        "headline": headline(result),
        "digest": result.digest,
        "strategy": _strategy(result),
        "run": _run(result),
        "terms": _terms(result.request.terms),
        "notices": [
            {"weight": each.weight.name.lower(), "name": each.name, "text": each.text}
            for each in notices_of(result, evidence)
        ],
        "figures": {row.definition.name: _figure(row) for row in figure_rows(result, evidence)},
        "exposure_by_bar": {"mean": number(mean), "time_in_market": number(held)},
        "money": _simple(reckoning(result)),
        "costs": _simple(costs_of(result)),
        "signals": _signals(result),
        "drawdowns": [_simple(fall) for fall in worst_falls(result)],
        "years": [_simple(year) for year in years(result)],
        "attribution": {table.name: _table(table) for table in attributions(result, evidence)},
        "round_trips": [_trip(trip) for trip in result.round_trips],
        "daily": _daily(result),
        "evidence": _evidence(evidence),
        "rules": dict(RULES),
    }


def json_text(report: Json) -> str:
    """Return a report as strict JSON, the same bytes for the same report."""
    return json.dumps(report, allow_nan=False, ensure_ascii=False, indent=1) + "\n"


def number(value: float | None) -> float | int | None:
    """Return a figure as JSON can hold it: null where it is none or not finite."""
    if value is None or not math.isfinite(value):
        return None
    return int(value) if isinstance(value, int) else float(value)


def _strategy(result: BacktestResult) -> Json:
    strategy = result.request.strategy
    return {
        "name": strategy.name,
        "version": strategy.version,
        "idea": strategy.idea,
        "source": strategy.source,
        "timeframe": strategy.timeframe.value,
        "fingerprint": strategy.fingerprint,
        "values": {name: number(value) for name, value in result.request.values.items()},
    }


def _run(result: BacktestResult) -> Json:
    days, request = days_of(result), result.request
    return {
        "symbols": sorted(result.stage.parts),
        "timeframe": request.timeframe.value,
        "source": request.source,
        "first_day": days[0].isoformat() if days else None,
        "last_day": days[-1].isoformat() if days else None,
        "trading_days": len(days),
        "bars": len(result.played.instants),
        "executor": result.executor,
        "adjusted": sorted(request.adjusted),
    }


def _terms(terms: Terms) -> Json:
    return {
        "cash_usd": plain(terms.cash),
        "fills": to_plain(terms.rules),
        "allow_short": terms.allow_short,
        "limits": None if terms.limits is None else json.loads(limits_snapshot(terms.limits)),
        "protections": terms.protections is not None,
    }


def _figure(row: FigureRow) -> Json:
    definition = row.definition
    interval = None
    if row.low is not None and row.high is not None:
        interval = {"low": number(row.low), "high": number(row.high), "level": row.level}
    return {
        "value": number(row.value),
        "benchmark": number(row.benchmark),
        "interval": interval,
        "unit": definition.unit.value,
        "label": definition.label,
        "definition": definition.text,
    }


def _signals(result: BacktestResult) -> Json:
    played = result.played
    return {
        "bars_with_a_signal": played.signals,
        "round_trips": len(result.round_trips),
        "ambiguous_bars": played.ambiguous,
        "resolved_bars": played.resolved,
        "unaffordable": played.unaffordable,
        "expired": played.expired,
        "refused": dict(sorted(played.refused.items())),
        "clamped": dict(sorted(played.clamped.items())),
    }


def _trip(trip: RoundTrip) -> Json:
    def money(amount: Decimal | None) -> str | None:
        return None if amount is None else plain(amount)

    return {
        "symbol": trip.symbol,
        "shares": plain(trip.qty),
        "signal_row": trip.signal_row,
        "entry_at": iso_utc(trip.entry_at),
        "entry_price": money(trip.entry_price),
        "exit_at": iso_utc(trip.exit_at),
        "exit_price": money(trip.exit_price),
        "left_by": trip.cause.value,
        "stop": money(trip.stop),
        "target": money(trip.target),
        "fees_usd": money(trip.fees),
        "pnl_usd": money(trip.pnl),
        "r_multiple": number(trip.r_multiple),
        "mae_usd_a_share": number(trip.mae),
        "mfe_usd_a_share": number(trip.mfe),
        "ambiguous": trip.ambiguous,
        "kindest_pnl_usd": money(trip.kindest_pnl),
        "open_at_end": trip.is_open,
    }


def _table(table: Attribution) -> Json:
    return {
        "title": table.title,
        "groups": [_group(group) for group in table.groups],
        "total": _group(table.total),
    }


def _group(group: Group) -> Json:
    rate = group.win_rate
    return {
        "label": group.label,
        "trades": group.trades,
        "wins": group.wins,
        "win_rate": rate and {"value": rate.value, "low": rate.low, "high": rate.high},
        "pnl_usd": plain(group.pnl),
        "fees_usd": plain(group.fees),
    }


def _daily(result: BacktestResult) -> list[Json]:
    rows = zip(days_of(result), result.daily_equity[1:], result.benchmark[1:], strict=True)
    return [
        {
            "day": day.isoformat(),
            "equity_usd": plain(from_units(int(equity))),
            "buy_and_hold_usd": plain(from_units(int(kept))),
        }
        for day, equity, kept in rows
    ]


def _evidence(evidence: Evidence) -> Json:
    return {
        "leaks": [
            {"detector": each.detector.value, "verdict": each.verdict.value, "text": each.text}
            for each in evidence.leaks
        ],
        "trials": evidence.trials,
        "probabilistic_sharpe": number(evidence.probabilistic_sharpe),
        "deflated_sharpe": number(evidence.deflated_sharpe),
        "minimum_track_record": evidence.minimum_track_record,
        "permutation_p": number(evidence.permutation_p),
        "permutations": evidence.permutations,
        "exposure_p": number(evidence.exposure_p),
        "exposures": evidence.exposures,
        "folds": [_simple(fold) for fold in evidence.folds],
        "costs": [_simple(row) for row in evidence.costs],
        "contamination": evidence.contamination,
        "regimes": {day.isoformat(): name for day, name in sorted(evidence.regimes.items())},
    }


def _simple(value: object) -> Json:
    """Return a flat dataclass as JSON types."""
    names = value.__dataclass_fields__  # type: ignore[attr-defined]
    return {name: _scalar(getattr(value, name)) for name in names}


def _scalar(value: Any) -> Any:  # noqa: ANN401 JSON has no narrower type
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_scalar(each) for each in value]
    if isinstance(value, dict):
        return {str(name): _scalar(each) for name, each in value.items()}
    return number(value)
