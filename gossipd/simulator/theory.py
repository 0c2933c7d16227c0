"""What the literature expects, to stand beside what was measured.

SWIM is A. Das, I. Gupta, A. Motivala, "SWIM: Scalable Weakly-consistent Infection-style Process
Group Membership Protocol", DSN 2002. Its formulas take members that probe one random target per
period, independent losses, and no Lifeguard, corroboration or repeated ping: they are a yardstick,
not a forecast of this detector.
"""

from __future__ import annotations

import math

_STEPS = 200


def first_detection_periods(live_share: float = 1.0) -> float:
    """Expected protocol periods from a failure to its first detection by anybody: 1/(1 - e^-q).

    q is the share of members that are not faulty; with all of them it is e/(e - 1) = 1.58,
    whatever their number, and round robin does not change it (SWIM, sections 3.1 and 4.3).
    """
    return 1 / (1 - math.exp(-live_share))


def false_suspicion_probability(loss: float, relays: int) -> float:
    """Probability that one probe of a live member, by a live one, ends in a suspicion.

    The ping or its ack is lost, and on the way over every one of the relays at least one of four
    datagrams: (1 - (1-p)^2) x (1 - (1-p)^4)^k (SWIM, section 3.1, with q_ml = 1 - p).
    """
    arrives = 1 - loss
    return (1 - arrives**2) * (1 - arrives**4) ** relays


def dissemination_rounds(nodes: int, fanout: int) -> float:
    """Rounds until all know, when everybody who knows tells `fanout` who do not: log_(f+1) N.

    A lower bound; infection-style dissemination needs a small multiple of log N (SWIM, 4.1).
    """
    return math.log(nodes, fanout + 1)


def missed_by_push(sends: float, loss: float) -> float:
    """Expected share of nodes that news misses when everybody who knows sends it `sends` times to
    random nodes, and nothing repairs: the smaller root of f = e^(-m (1-f) (1-p)).

    The final size of an epidemic (Kermack and McKendrick 1927; as the residue of rumor mongering
    in Demers et al., "Epidemic algorithms for replicated database maintenance", PODC 1987). 1 when
    less than one copy arrives per node.
    """
    arriving = sends * (1 - loss)
    if arriving <= 1:
        return 1.0
    missed = 0.0
    for _ in range(_STEPS):
        missed = math.exp(-arriving * (1 - missed))
    return missed
