"""What every layer stands on: settings, time, secrets, problems, limits, cache."""
