"""What every block family promises, as checks that whoever writes one can call from their own tests.

`problems(family)` runs all of them on the family's sample genes; `python -m archspace.conformance NAME...` prints it.
"""

from archspace.conformance.check import Check
from archspace.conformance.suite import checks, problems

__all__ = ["Check", "checks", "problems"]
