"""Load: presses on a running API by the clock and decides its latency promises from exact counts.

`upheld.load.run` is the way in. This package alone uses Locust, in a child process: only `upheld.load.locustfile` and
`upheld.load.driver` import it or gevent, because importing Locust patches socket and ssl for good.
"""
