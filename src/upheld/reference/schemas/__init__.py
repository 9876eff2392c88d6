"""Requests and answers. Each constraint here is in the contract, and each constraint of the contract is here."""
