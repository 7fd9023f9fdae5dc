"""Memory by role, and what the guards take from the KV pool."""

from typing import Any

from profiler.analysis.displacement import KvDisplacement
from profiler.analysis.pictures.memory import MemoryBars, displaced, memory_bars
from profiler.report.html.parts import Asked, DataTable, Picture, not_measured

_TITLE = "Memory, and the KV cache that guards displace"
_CAPTIONS = {
    "PSS": "PSS: each arm's steady memory on the host, by the role of the process that holds it.",
    "GPU memory": "GPU memory: each arm's steady memory on the cards, by role where the processes are told apart.",
    "RSS, peak": "RSS, peak: the most that an arm's processes held at once in any trial, roles not told apart.",
}


def picture(asked: Asked) -> Picture:
    """A stacked bar an arm, and a bar of the KV pool for what the guards displace."""
    found, kv = memory_bars(asked.result), displaced(asked.result)
    if not found and isinstance(kv, str):
        return not_measured("memory", _TITLE, f"{_absent(asked)}; KV displacement: {kv}")
    pool = None if isinstance(kv, str) else _pool(kv)
    return Picture(
        "memory",
        _TITLE,
        f"{_caption(found) or f'Memory: not measured: {_absent(asked)}.'} {_kv_note(kv)}",
        told=_told(found, kv),
        data={"panels": [_panel(one, asked.arms) for one in found], "pool": pool},
        table=DataTable(
            ("what", "whose", "MiB"),
            [*(row for one in found for row in _rows(one)), *([] if isinstance(kv, str) else _kv_rows(kv))],
        ),
    )


def _caption(found: tuple[MemoryBars, ...]) -> str:
    return " ".join(_CAPTIONS[one.what] for one in found)


def _absent(asked: Asked) -> str:
    return str(asked.result.run.manifest.get("not_measured", {}).get("pss", "no reading in every trial"))


def _panel(one: MemoryBars, arms: list[str]) -> dict[str, Any]:
    return {
        "what": one.what,
        "bars": [
            {"arm": arms.index(bar.arm), "role": role.replace("_", " "), "mib": mib}
            for bar in one.bars
            for role, mib in bar.mib.items()
        ],
    }


def _pool(kv: KvDisplacement) -> dict[str, Any]:
    return {
        "tokens": kv.pool.tokens,
        "rows": [
            {
                "who": who,
                "share": one.share,
                "said": f"{one.share:.1%}, {one.tokens:,} tokens"
                + ("" if one.requests_lost is None else f", {one.requests_lost:.1f} requests"),
            }
            for who, one in kv.arms.items()
        ],
    }


def _rows(one: MemoryBars) -> list[tuple[str, ...]]:
    found = list[tuple[str, ...]]()
    for bar in one.bars:
        found += [(f"{one.what}, {role.replace('_', ' ')}", bar.arm, f"{mib:,.0f}") for role, mib in bar.mib.items()]
        if len(bar.mib) > 1:
            found.append((f"{one.what}, all", bar.arm, f"{sum(bar.mib.values()):,.0f}"))
    return found


def _kv_rows(kv: KvDisplacement) -> list[tuple[str, ...]]:
    return [(f"KV cache displaced, {one.share:.1%}", who, f"{one.footprint_mib:,.0f}") for who, one in kv.arms.items()]


def _kv_note(kv: KvDisplacement | str) -> str:
    if isinstance(kv, str):
        return f"KV displacement: not measured: {kv}."
    said = "computed from what the guards hold" if kv.isolation == "shared" else "an engine an arm"
    return f"The KV pool holds {kv.pool.tokens:,} tokens; the hatched part is what the guards displace ({said})."


def _told(found: tuple[MemoryBars, ...], kv: KvDisplacement | str) -> str:
    bars = [f"{bar.arm} {sum(bar.mib.values()):,.0f} MiB" for one in found[:1] for bar in one.bars][:8]
    pool = "" if isinstance(kv, str) else "; ".join(f"{who} displace {one.share:.1%}" for who, one in kv.arms.items())
    kind = f"{found[0].what} by arm: {', '.join(bars)}. " if found else ""
    return f"{kind}{f'KV pool: {pool}.' if pool else ''}"
