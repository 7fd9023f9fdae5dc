"""Where the device's time goes: a few requests under vLLM's torch profiler, arm beside baseline."""
