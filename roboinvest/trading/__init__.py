"""The workflow: WorldMonitor, Strategy, TradeExecutor, Budget and RAGPlaybook, once per tick."""
