"""An experiment as a figure: detection, convergence and traffic over the time of the load.

The only module that loads matplotlib (the extra `gossipd[plot]`). No window, date or random id is
involved: the same report gives the same SVG.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gossipd.simulator.report import Report

_SIZE = (9.0, 9.0)
"""Inches."""

_DATES: dict[str, dict[str, str | None]] = {
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}
"""What keeps the date out of a file, by format."""


def draw(report: Report, path: Path) -> None:
    """Write the figure in the format that the suffix names. Raises `OSError`."""
    with mpl.rc_context({"svg.hashsalt": "gossipd", "axes.grid": True, "grid.alpha": 0.3}):
        figure = Figure(figsize=_SIZE, layout="constrained")
        detection, convergence, traffic = figure.subplots(3, 1, sharex=True)
        _draw_detection(detection, report)
        _draw_convergence(convergence, report)
        _draw_traffic(traffic, report)
        for axes in (detection, convergence, traffic):
            _shade_partition(axes, report)
        traffic.set_xlabel("seconds of load")
        figure.suptitle(_title(report))
        figure.savefig(path, metadata=_DATES.get(path.suffix.lower(), {}))


def _title(report: Report) -> str:
    wishes = report.wishes
    return (
        f"{wishes['nodes']:g} nodes, loss {100 * wishes['loss']:g} %, "
        f"{wishes['rate']:g} increments/s, seed {report.seed}"
    )


def _draw_detection(axes: Axes, report: Report) -> None:
    axes.set_title("Detection of kills")
    axes.set_ylabel("seconds after the kill")
    times = [found.killed_at for found in report.detections]
    for name, marker, after in (
        ("first suspicion", "o", [found.suspected_after for found in report.detections]),
        ("first verdict", "s", [found.failed_after for found in report.detections]),
        ("known to all", "^", [found.known_after for found in report.detections]),
    ):
        pairs = [
            (at, seconds) for at, seconds in zip(times, after, strict=True) if seconds is not None
        ]
        axes.plot(
            [at for at, _ in pairs], [s for _, s in pairs], marker, linestyle="none", label=name
        )
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper right")


def _draw_convergence(axes: Axes, report: Report) -> None:
    axes.set_title("Convergence of increments, by when they were made")
    axes.set_ylabel("seconds until on all nodes")
    told = [stretch for stretch in report.over_time if stretch.convergence.count]
    times = [stretch.begins_at for stretch in told]
    axes.plot(times, [stretch.convergence.median or 0.0 for stretch in told], label="median")
    axes.plot(times, [stretch.convergence.max or 0.0 for stretch in told], label="max")
    if any(stretch.convergence.median for stretch in told):
        axes.set_yscale("log")
    axes.legend(loc="upper right")


def _draw_traffic(axes: Axes, report: Report) -> None:
    axes.set_title("Traffic per node")
    axes.set_ylabel("packets/s")
    times = [stretch.begins_at for stretch in report.over_time]
    packets = [stretch.packets_per_node_second for stretch in report.over_time]
    axes.plot(times, packets, label="packets")
    axes.set_ylim(bottom=0)
    axes.set_xlim(0, 60 * report.wishes["minutes"])
    beside = axes.twinx()
    sent = [stretch.bytes_per_node_second / 1000 for stretch in report.over_time]
    beside.plot(times, sent, color="C1", label="kilobytes, with headers")
    beside.set_ylabel("kB/s")
    beside.set_ylim(bottom=0)
    beside.grid(visible=False)
    axes.legend(loc="upper left")
    beside.legend(loc="upper right")


def _shade_partition(axes: Axes, report: Report) -> None:
    if report.partition:
        axes.axvspan(
            report.partition.began_at, report.partition.healed_at, color="C7", alpha=0.2, lw=0
        )
