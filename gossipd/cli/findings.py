"""What an experiment found, as text for people: measured beside what theory expects."""

from __future__ import annotations

from collections.abc import Iterator

from gossipd.cli.output import aligned
from gossipd.simulator.report import Report, Summary

_NONE = "-"


def table(report: Report) -> str:
    """The report in blocks of aligned lines; ends with the seed that replays it."""
    parts = [
        "\n".join(_asked(report)),
        aligned([["", "MEDIAN", "P99", "MAX", "COUNT"], *_durations(report)]),
        aligned([[f"{name}:", value] for name, value in _figures(report)], numbers_right=False),
        aligned(
            [["THEORY", "EXPECTED", "MEASURED", "SOURCE"], *_theory(report)], numbers_right=False
        ),
        f"seed: {report.seed}",
    ]
    return "\n\n".join(parts)


def _asked(report: Report) -> Iterator[str]:
    wishes = report.wishes
    yield (
        f"{wishes['nodes']:g} nodes, loss {100 * wishes['loss']:g} %, latency "
        f"{_seconds(wishes['latency'])}, {wishes['rate']:g} increments/s for "
        f"{wishes['minutes']:g} min"
    )
    cut = report.partition
    if cut:
        yield (
            f"{len(report.detections)} killed; cut in two halves from {cut.began_at:g} s to "
            f"{cut.healed_at:g} s"
        )
    else:
        yield f"{len(report.detections)} killed; no partition"


def _durations(report: Report) -> Iterator[list[str]]:
    spread = report.convergence
    rows = [
        ("a killed node is suspected by one", report.first_suspicion),
        ("  failed for one", report.first_verdict),
        ("  failed for all", report.known_to_all),
        ("an increment is on one more node", spread.pairs),
        ("  on all nodes", spread.whole),
    ]
    if report.partition:
        rows.append(("  on all, if it met the partition", spread.apart))
    for name, summary in rows:
        yield [name, *_percentiles(summary), str(summary.count)]


def _percentiles(summary: Summary) -> list[str]:
    return [_seconds(value) for value in (summary.median, summary.p99, summary.max)]


def _figures(report: Report) -> Iterator[tuple[str, str]]:
    healthy, cut = report.false_verdicts["healthy"], report.false_verdicts["cut"]
    yield "killed nodes never found by all", f"{report.never_found:,}"
    yield "healthy nodes suspected", f"{healthy.suspicions:,}"
    yield "  declared failed", f"{healthy.verdicts:,}"
    if report.partition:
        yield "nodes across the cut suspected", f"{cut.suspicions:,}"
        yield "  declared failed", f"{cut.verdicts:,}"
        yield "  back for all after the healing", _seconds(report.partition.rejoined_after)
    traffic = report.traffic
    yield "packets per node and second", f"{traffic.packets_per_node_second:,.2f}"
    yield "bytes per node and second", f"{traffic.bytes_per_node_second:,.0f} (with headers)"
    messages = traffic.messages_per_increment
    yield "messages per increment", _NONE if messages is None else f"{messages:,.1f} (of any kind)"
    final = report.final
    yield "acknowledged", f"{final.acknowledged:,}"
    yield "  lost with killed nodes", f"{final.lost_with_the_killed:,}"
    yield "counts in the end", _counts(report)
    yield "  all equal", _after(final.settled_after)


def _counts(report: Report) -> str:
    counts = ", ".join(f"{count:,}" for count in report.final.counts)
    return f"{counts} ({'exact' if report.final.exact else 'NOT EXACT'})"


def _after(seconds: float | None) -> str:
    return "NO" if seconds is None else f"{_seconds(seconds)} after the load"


def _theory(report: Report) -> Iterator[list[str]]:
    theory = report.theory
    yield [
        "first suspicion, mean",
        _seconds(theory.first_suspicion),
        _seconds(theory.measured_first_suspicion),
        "SWIM 3.1: e/(e-1) periods",
    ]
    yield [
        "false suspicions per probe",
        f"{theory.false_suspicions_per_probe:.3g}",
        f"{theory.measured_false_suspicions_per_probe:.3g}",
        "SWIM 3.1: ping and all relays lost",
    ]
    yield [
        "rounds of gossip until all know",
        f"{theory.rounds:.2f}",
        _NONE if theory.measured_rounds is None else f"{theory.measured_rounds:.2f}",
        "log N to the base of fan-out + 1; median",
    ]


def _seconds(value: float | None) -> str:
    if value is None:
        return _NONE
    return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.4g} ms"
