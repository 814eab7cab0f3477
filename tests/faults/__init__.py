"""Everything that can break, broken on purpose, while a history is written; then the history is judged."""
