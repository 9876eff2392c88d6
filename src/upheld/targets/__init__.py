"""The running backend and how it came to run: a URL that was given, a command that we start, the embedded reference.

>>> with open_target(contract.policy.target, profile="raised", folder=contract.folder) as running:
...     running.url, running.can
"""

from upheld.targets.base import Capability, Profile, Running, Target
from upheld.targets.choose import open_target
from upheld.targets.command import Command
from upheld.targets.embedded import Embedded
from upheld.targets.url import Url

__all__ = ["Capability", "Command", "Embedded", "Profile", "Running", "Target", "Url", "open_target"]
