"""A sequence classifier at work: long texts in windows, windows in batches, probabilities of labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

_CATEGORY_THRESHOLD = 0.5
_PADDING_ON_CPU = 1.25
"""On a CPU padding costs as much as text, so windows share a batch only up to this ratio of lengths."""


@dataclass(frozen=True)
class Classifier:
    """A loaded model. `unsafe` are indices of labels; windows are of `max_tokens` word pieces, specials included."""

    model: Any
    tokenizer: Any
    labels: Sequence[str]
    unsafe: Sequence[int]
    multi_label: bool
    max_tokens: int
    overlap_tokens: int
    max_batch: int

    def judge(self, texts: list[str]) -> list[tuple[float, list[str]]]:
        """p(unsafe), the greatest over a text's windows, and the categories over 0.5 of a multi-label model."""
        windows = self.windows(texts)
        owners = windows.pop("overflow_to_sample_mapping")
        lengths = [len(ids) for ids in windows["input_ids"]]
        p = torch.empty((len(lengths), len(self.labels)))
        ratio = _PADDING_ON_CPU if self.model.device.type == "cpu" else float("inf")
        for rows in groups(lengths, self.max_batch, ratio):
            p[rows] = self._probabilities({key: [values[row] for row in rows] for key, values in windows.items()})
        owner = torch.tensor(owners)
        return [self._found(p[owner == index][:, self.unsafe]) for index in range(len(texts))]

    def windows(self, texts: list[str]) -> dict[str, Any]:
        """Every window's `input_ids` and what else the model reads; whose it is: `overflow_to_sample_mapping`."""
        cut = {"truncation": True, "max_length": self.max_tokens, "stride": self.overlap_tokens}
        return dict(self.tokenizer(texts, **cut, return_overflowing_tokens=True))

    @torch.inference_mode()
    def _probabilities(self, windows: dict[str, Any]) -> torch.Tensor:
        padded = self.tokenizer.pad(windows, return_tensors="pt").to(self.model.device)
        logits = self.model(**padded).logits.float().cpu()
        return logits.sigmoid() if self.multi_label else logits.softmax(dim=-1)

    def _found(self, p: torch.Tensor) -> tuple[float, list[str]]:
        """From the unsafe labels' probabilities, (windows, labels). NaN stays NaN: the check refuses it."""
        if not self.multi_label:
            return float(p.sum(dim=1).clamp(max=1.0).amax()), []  # a sum may end a rounding error above 1
        greatest = p.amax(dim=0)
        over = (greatest > _CATEGORY_THRESHOLD).tolist()
        return float(greatest.amax()), [self.labels[i] for i, is_over in zip(self.unsafe, over, strict=True) if is_over]


def groups(lengths: Sequence[int], most: int, ratio: float) -> Iterator[list[int]]:
    """Rows that share a batch: of neighbouring length, at most `most`, none over `ratio` times as long as another."""
    order = sorted(range(len(lengths)), key=lambda row: lengths[row])
    start = 0
    for end in range(1, len(order) + 1):
        full = end - start == most
        if end == len(order) or full or lengths[order[end]] > ratio * lengths[order[start]]:
            yield order[start:end]
            start = end
