"""What a user may ask an experiment for: a frozen value, possible or not built at all."""

from __future__ import annotations

from dataclasses import dataclass, field

from gossipd.core import Settings

NODES_MAX = 2_000
RATE_MAX = 10_000
MINUTES_MAX = 10_080
LATENCY_MAX = 10
SEED_MAX = 2**53 - 1


class WishError(ValueError):
    """A wish cannot be granted. `name` is its field, `problem` says what is wrong."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} {problem}")
        self.name = name
        self.problem = problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What is asked for. Raises `WishError` where that is impossible."""

    seed: int
    nodes: int = 20
    loss: float = 0.0
    """Part of the datagrams that are lost."""
    latency: float = 0.0005
    """Seconds that a datagram takes one way, on average."""
    kill: int = 1
    """Nodes that are killed, one after the other."""
    partition: float = 0.0
    """Seconds for which the network is cut in two halves."""
    rate: float = 10.0
    """Increments per second in the whole cluster."""
    minutes: float = 1.0
    """How long the load lasts."""
    settings: Settings = field(default_factory=Settings)

    @property
    def seconds(self) -> float:
        """How long the load lasts."""
        return 60.0 * self.minutes

    def __post_init__(self) -> None:
        self._demand("seed", 0, SEED_MAX)
        self._demand("nodes", 2, NODES_MAX)
        self._demand("latency", 0, LATENCY_MAX, " seconds")
        self._demand("rate", 0, RATE_MAX)
        if not 0 <= self.loss < 1:
            raise WishError("loss", f"must be at least 0 and below 1, not {self.loss:g}")
        if not 0 < self.minutes <= MINUTES_MAX:
            raise WishError(
                "minutes", f"must be above 0 and at most {MINUTES_MAX:,}, not {self.minutes:g}"
            )
        if not 0 <= self.kill < self.nodes:
            raise WishError(
                "kill", f"must be at least 0 and below the {self.nodes} nodes, not {self.kill}"
            )
        if not 0 <= self.partition < self.seconds:
            raise WishError(
                "partition",
                f"must be shorter than the run of {self.seconds:g} s, not {self.partition:g} s",
            )

    def _demand(self, name: str, least: int, most: int, unit: str = "") -> None:
        value = getattr(self, name)
        if not least <= value <= most:
            shown = f"{value:,}" if isinstance(value, int) else f"{value:g}"
            raise WishError(name, f"must be from {least:,} to {most:,}{unit}, not {shown}")
