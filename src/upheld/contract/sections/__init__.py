"""The sections of upheld.yaml, grouped by what they speak about. `upheld.contract.policy.Policy` puts them together."""
