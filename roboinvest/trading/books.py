"""The books of one account: what it owns, what it learned, what it may spend, what it is held to.

They live in memory and are read from the store at every start; `documents` and the changes that
each book hands over are all that has to be stored for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from roboinvest.core.budget import BudgetPolicy
from roboinvest.core.fills import FillRules
from roboinvest.core.ledger import Ledger
from roboinvest.core.ports import SpendBook
from roboinvest.core.protections import ProtectionRules
from roboinvest.runtime.storage.stored import StoredState
from roboinvest.trading.account_book import AccountBook, AccountFigures
from roboinvest.trading.benchmark import Benchmark
from roboinvest.trading.budget import ASKED_CAP, BudgetAgent, BudgetFigures, asked_cap_in
from roboinvest.trading.locks.book import ASKED, CLEARINGS, DOCUMENT, LockBook
from roboinvest.trading.news_desk import NewsShelf
from roboinvest.trading.playbook import Playbook


@dataclass(slots=True, kw_only=True)
class Books:
    """Everything an account has to remember."""

    account: AccountBook
    playbook: Playbook
    budget: BudgetAgent
    benchmark: Benchmark
    news: NewsShelf = field(default_factory=NewsShelf)
    _stored: dict[str, str] = field(default_factory=dict)  # documents as the store has them

    @classmethod
    def read(
        cls,
        stored: StoredState,
        *,
        cash: Decimal,
        rules: FillRules,
        policy: BudgetPolicy,
        symbols: Sequence[str],
        protections: ProtectionRules | None = None,
        spend: SpendBook | None = None,
    ) -> Books:
        """Return the books as they were committed; new ones begin with `cash` in USD.

        Without `protections` only the latches on equity lock anything.
        """
        documents = stored.documents
        figures = AccountFigures.starting_with(cash)
        if "account" in documents:
            figures = AccountFigures.from_json(documents["account"])
        spent = BudgetFigures.starting_with(policy)
        if "budget" in documents:
            spent = BudgetFigures.from_json(documents["budget"])
        ledger = Ledger(stored.lots, figures.realised)
        locks = LockBook.read(
            documents.get(DOCUMENT),
            documents.get(CLEARINGS),
            protections or ProtectionRules(),
            documents.get(ASKED),
        )
        account = AccountBook(ledger, stored.open_orders, figures, locks)
        benchmark = Benchmark(figures.start_equity, symbols)
        if "benchmark" in documents:
            benchmark.restore(documents["benchmark"])
        return cls(
            account=account,
            playbook=Playbook(
                stored.resolved_memories,
                stored.open_memories,
                stored.calibration,
                rules=rules,
                partial_results=documents.get("playbook"),
            ),
            budget=BudgetAgent(
                account, spent, policy, spend, asked_cap_in(documents.get(ASKED_CAP))
            ),
            benchmark=benchmark,
            news=NewsShelf.read(documents.get("news")),
            _stored=dict(documents),
        )

    def changed_documents(self, broker_document: str, snapshot: str | None) -> dict[str, str]:
        """Return the documents that differ from those handed over before, the broker's too."""
        now = {
            "account": self.account.document(),
            DOCUMENT: self.account.locks.document(),
            "budget": self.budget.document(),
            "playbook": self.playbook.document(),
            "benchmark": self.benchmark.document(),
        }
        read = self.news.document()
        if read is not None:
            now["news"] = read
        if snapshot is not None:
            now[broker_document] = snapshot
        changed = {name: text for name, text in now.items() if self._stored.get(name) != text}
        self._stored.update(changed)
        return changed
