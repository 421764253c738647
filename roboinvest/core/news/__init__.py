"""News as typed records: who says it, how it leans, how many say it, and how little it may do."""
