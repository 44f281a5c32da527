"""How much of something a peer may cause: a stock that fills by itself (a token bucket)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Budget:
    """`most` at once, `per_s` in the long run."""

    most: float
    per_s: float
    left_amount: float = 0.0
    since_s: float = -1e12  # mono; so it begins full

    def take(self, amount: float, now_s: float) -> bool:
        """False, and nothing is taken, if the budget is used up. As long as anything is left any
        amount may be taken at once, and the wait for the next is the longer."""
        self.left_amount = min(self.most, self.left_amount + (now_s - self.since_s) * self.per_s)
        self.since_s = now_s
        if self.left_amount < 0:
            return False
        self.left_amount -= amount
        return True

    @property
    def wait_s(self) -> float:
        """The time until something is left, as of the last look."""
        return max(0.0, -self.left_amount / self.per_s)
