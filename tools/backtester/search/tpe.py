"""Combinations that optuna's TPE sampler expects to be good, seeded.

It is asked for a batch of fixed size and told what the whole batch came to, so that the walk
depends on the seed alone and not on how many cores there are. Its storage is memory: what was
tried is in the run book, and a walk that is begun again is told it from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from roboinvest.core.errors import BadInput
from roboinvest.core.records import canonical_json
from roboinvest.core.strategy import Number, Strategy, Values
from tools.backtester.search.space import axis_of, own_step, param_of

if TYPE_CHECKING:  # loading optuna takes longer than many a search
    import optuna

BATCH: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A parameter's lowest and highest value, and the step between."""

    low: Number
    high: Number
    step: Number
    is_whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tpe:
    """So many trials in these ranges; see `tpe_of`."""

    ranges: Mapping[str, Range]
    trials: int
    seed: int
    fixed: Values = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the parameters that are chosen."""
        return tuple(name for name, each in self.ranges.items() if each.low < each.high)

    @property
    def size(self) -> int:
        """Return how many combinations are asked for."""
        return self.trials

    @property
    def text(self) -> str:
        """Return ranges, seed and number of trials as JSON."""
        ranges = {name: [each.low, each.high, each.step] for name, each in self.ranges.items()}
        facts = {"tpe": ranges, "fixed": dict(self.fixed), "seed": self.seed, "trials": self.trials}
        return canonical_json(facts)

    def start(self) -> TpeWalk:
        """Begin a walk."""
        return TpeWalk(self)


class TpeWalk:
    """Asks in batches, and learns from what they came to."""

    def __init__(self, space: Tpe) -> None:
        import optuna  # here, because few commands search and loading it takes a second

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space = space
        self._left = space.trials
        self._study = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.TPESampler(seed=space.seed)
        )
        self._asked: list[optuna.Trial] = []

    def ask(self) -> Sequence[Values]:
        """Return the next batch; the same combination may come again."""
        count = min(BATCH, self._left)
        self._left -= count
        self._asked = [self._study.ask(_distributions(self._space)) for _ in range(count)]
        return [{**self._space.fixed, **trial.params} for trial in self._asked]

    def tell(self, scores: Sequence[tuple[Values, float | None]]) -> None:
        """Tell the sampler; what came to nothing is a failed trial to it."""
        import optuna

        for trial, (_, score) in zip(self._asked, scores, strict=True):
            if score is None:
                self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                self._study.tell(trial, score)


def tpe_of(
    strategy: Strategy,
    ranges: Mapping[str, str] | None = None,
    fixed: Values | None = None,
    *,
    trials: int,
    seed: int,
) -> Tpe:
    """Return a space over the named ranges (`5:50` or `5:50:5`), or over all that are declared.

    Raises:
        BadInput: a parameter is unknown, fixed and searched at once, or a range is wrong.
    """
    fixed = fixed or {}
    wanted = ranges or {param.name: "" for param in strategy.params if param.name not in fixed}
    both = sorted(set(wanted) & set(fixed))
    if both:
        raise BadInput(f"{', '.join(both)} is given a value and a range; drop one of them")
    if trials < 1 or not wanted:
        raise BadInput(
            f"{trials} trials over {len(wanted)} parameters; give 1 or more of both, or run the "
            "strategy once"
        )
    return Tpe(
        ranges={name: _range(strategy, name, text) for name, text in wanted.items()},
        trials=trials,
        seed=seed,
        fixed=fixed,
    )


def _range(strategy: Strategy, name: str, text: str) -> Range:
    param = param_of(strategy, name)
    if "," in text:
        raise BadInput(
            f"{name}={text} lists values; for optuna give a range, from:to or from:to:step"
        )
    values = axis_of(param, text)
    step = values[1] - values[0] if len(values) > 1 else own_step(param)
    is_whole = isinstance(param.default, int)
    return Range(low=values[0], high=values[-1], step=step, is_whole=is_whole)


def _distributions(space: Tpe) -> dict[str, optuna.distributions.BaseDistribution]:
    from optuna.distributions import FloatDistribution, IntDistribution

    return {
        name: IntDistribution(int(each.low), int(each.high), step=int(each.step))
        if each.is_whole
        else FloatDistribution(each.low, each.high)
        for name, each in space.ranges.items()
    }
