"""What a run found, told to people and to machines: terminal, HTML, JSON, JUnit, and the catalogue's own pages.

Every renderer takes a `upheld.verdict.Run` and judges nothing. Texts in it can hold octets that the service under test
chose, so each renderer neutralises them in its own medium.
"""
