"""Power over time, with the windows of the trials."""

from profiler.analysis.pictures.power import Power, power
from profiler.report.html.parts import Asked, DataTable, Picture, not_measured

_TITLE = "Power over time"
_CAPTION = "Watts over the run, by device. Each shaded stretch is one trial, named at its foot where there is room."

_BREAK = (
    " Dashed: the clock begins anew (the run was resumed, or the machine restarted); the time between is not known."
)


def picture(asked: Asked) -> Picture:
    """A line a device, the trials behind it."""
    found = power(asked.result)
    if not found.points:
        return not_measured("power", _TITLE, _why(asked))
    return Picture(
        "power",
        _TITLE,
        _CAPTION + (_BREAK if found.breaks_s else ""),
        told=_told(found),
        data={
            "windows": [
                {"arm": asked.arms.index(w.arm), "from": round(w.start_s, 3), "to": round(w.end_s, 3)}
                for w in found.windows
                if w.arm in asked.arms
            ],
            "breaks": [round(at, 3) for at in found.breaks_s],
            "points": [
                {"source": p.source, "trial": p.trial, "s": round(p.at_s, 3), "w": round(p.watts, 2)}
                for p in found.points
            ],
        },
        table=DataTable(("arm", "device", "from, s", "to, s", "mean W", "peak W"), _rows(found)),
    )


def _why(asked: Asked) -> str:
    absent = asked.result.run.manifest.get("not_measured", {})
    whys = [str(absent[name]) for name in ("energy", "gpu", "cpu_energy") if name in absent]
    return "; ".join(whys) or "the run's samples have no power"


def _rows(found: Power) -> list[tuple[str, ...]]:
    rows = list[tuple[str, ...]]()
    for one in found.trials:
        window = found.windows[one.trial]
        ends = f"{window.start_s:.1f}", f"{window.end_s:.1f}"
        rows.append((window.arm, one.source, *ends, f"{one.mean_w:.0f}", f"{one.peak_w:.0f}"))
    return rows


def _told(found: Power) -> str:
    sources = list(dict.fromkeys(one.source for one in found.trials))
    peak = max(one.peak_w for one in found.trials)
    return f"Power of {', '.join(sources[:8])} over {len(found.windows)} trials; at most {peak:.0f} W."
