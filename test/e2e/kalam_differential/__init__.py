"""Random statements, run by KalamDB over HTTP and by DuckDB on plain tables with the same rows: the answers
must be the same."""
