"""Implementation reports: written from what a run verified, and, when somebody else wrote one, held against the service."""
