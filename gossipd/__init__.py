"""gossipd: SWIM membership and a replicated counter over UDP."""

__version__ = "0.1.0"
