"""The reference backend: a small shop API that keeps every promise of the house standard, to prove the harness against."""
