"""The modelled engine's parameters."""

from dataclasses import dataclass, field

from profiler.engines.modelled_noise import NoiseParameters


@dataclass(frozen=True, slots=True)
class ModelParameters:
    """The model of the engine.

    A step over s decoding sequences and p prompt tokens takes
    `step_base_ns + s * step_ns_per_sequence + p * prefill_ns_per_token`, over the speed of the moment.
    `max_batched_tokens` bounds s + p and `max_num_seqs` the admitted sequences, as in vLLM.
    `mean_output_tokens`: mean of the natural answer length. `prefix_caching`: a prompt seen before, whole,
    costs the prefill of one block.
    """

    prefill_ns_per_token: int = 50_000
    step_base_ns: int = 8_000_000
    step_ns_per_sequence: int = 50_000
    max_batched_tokens: int = 2048
    max_num_seqs: int = 256
    chars_per_token: float = 4.0
    mean_output_tokens: float = 128.0
    prefix_caching: bool = False
    noise: NoiseParameters = field(default_factory=NoiseParameters)

    def __post_init__(self) -> None:
        """Refuse an engine that could not run.

        Raises:
            ValueError: a cost or a limit is out of range.
        """
        if self.step_base_ns <= 0 or self.prefill_ns_per_token < 0 or self.step_ns_per_sequence < 0:
            raise ValueError("step_base_ns must be positive and the other costs not negative")
        if not 1 <= self.max_num_seqs <= self.max_batched_tokens:
            raise ValueError("1 <= max_num_seqs <= max_batched_tokens must hold")
        if self.chars_per_token <= 0 or self.mean_output_tokens < 1:
            raise ValueError("chars_per_token must be positive and mean_output_tokens at least 1")
