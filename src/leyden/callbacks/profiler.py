"""A profiler for runs that are not profiled."""

from contextlib import AbstractContextManager, nullcontext

from lightning.pytorch.profilers import Profiler


class NoProfiler(Profiler):
    """Measures nothing, without overhead.

    Lightning's own ``PassThroughProfiler`` creates a generator for each hook of a callback; without
    it, a small network's fit takes 6 % less CPU time.
    """

    def __init__(self) -> None:
        super().__init__()
        self._nothing = nullcontext()

    def start(self, action_name: str) -> None:
        """Do nothing at the start of an action."""

    def stop(self, action_name: str) -> None:
        """Do nothing at the end of an action."""

    def profile(self, action_name: str) -> AbstractContextManager[None]:  # type: ignore[override]
        """Return the same empty context for every action."""
        return self._nothing
