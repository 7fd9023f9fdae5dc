"""What a run records beside its measured blocks, after them: stacks under py-spy, traces under torch's profiler."""

from pathlib import Path

from rich.console import Console

from profiler.experiment import ALL_DONE, Experiment
from profiler.stacks.run import record_stacks
from profiler.traces.run import Traced, record_traces


async def extras(experiment: Experiment, stacks: bool, scratch: Path | None, console: Console) -> str:
    """Record what was asked for; `scratch` is where an engine that can be traced writes. The run's ending.

    Raises:
        EngineDied: the engine is gone.
    """
    if stacks:
        console.print("recording stacks: a trial an arm under py-spy", highlight=False)
        if (why := await record_stacks(experiment)) is not None:
            console.print(f"stacks: not measured: {why.line}", highlight=False, markup=False, soft_wrap=True)
    if scratch is not None:
        console.print("recording traces: a few requests an arm under torch's profiler", highlight=False)
        engine = experiment.bench.engine
        if isinstance(engine, Traced):
            await record_traces(experiment, engine, scratch)
        else:
            console.print("traces: not measured: this engine has no torch profiler", highlight=False)
    return ALL_DONE
