"""Small real classifiers as model folders: a hand-made one that sees one word, and MiniLM with a linear head."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from guards.assets import package_file
from guards.scorers.minilm import PACKAGE, WEIGHTS

TRIGGER = "trigger"
POSITIONS = 64


def trigger_folder(folder: Path, labels: Sequence[str] = ("SAFE", "UNSAFE"), rest: float = 0.0, **config: Any) -> Path:
    """A one-layer BERT over words, with windows of up to POSITIONS.

    Its last label's logit is at least 20 if what it sees holds TRIGGER, else -20; the other labels' is `rest`.
    """
    names = {"id2label": dict(enumerate(labels)), "label2id": {label: index for index, label in enumerate(labels)}}
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    made = BertForSequenceClassification(
        BertConfig(vocab_size=100, max_position_embeddings=POSITIONS, **sizes, **names, **config)
    ).eval()
    tokenizer = _words()
    with torch.no_grad():
        _see_trigger(made, tokenizer.convert_tokens_to_ids(TRIGGER))
        made.classifier.bias.fill_(rest)
        _aim(made, tokenizer)
    made.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _see_trigger(model: Any, trigger: int) -> None:
    """Queries and keys of 0 attend to all words alike; dimension 0 carries the share of TRIGGER among them."""
    for name, value in model.named_parameters():
        value.fill_(1.0 if name.endswith("LayerNorm.weight") else 0.0)
    words = torch.tensor([-1.0, 1.0] * 4).repeat(100, 1)
    words[trigger] = -words[trigger]
    model.bert.embeddings.word_embeddings.weight.copy_(words)
    attention = model.bert.encoder.layer[0].attention
    attention.self.value.weight.copy_(torch.eye(8))
    attention.output.dense.weight[0, 0] = 4.0
    model.bert.pooler.dense.weight[0, 0] = 1.0


def _aim(model: Any, tokenizer: Any) -> None:
    """A head so steep that one TRIGGER in the longest window shows."""
    most = POSITIONS - 2
    without, holding = (
        float(model.bert(**tokenizer(text, return_tensors="pt")).pooler_output[0, 0])
        for text in ("word " * most, TRIGGER + " word" * (most - 1))
    )
    slope = 40.0 / (holding - without)
    model.classifier.weight[-1, 0] = slope
    model.classifier.bias[-1] = -slope * (holding + without) / 2


def minilm_folder(folder: Path, unsafe: Sequence[str], safe: Sequence[str]) -> Path:
    """MiniLM with a head on [CLS] by ridge regression, which tells these two kinds of text apart."""
    source = package_file(PACKAGE, *WEIGHTS).parent
    names = {"id2label": {0: "BENIGN", 1: "MALICIOUS"}, "label2id": {"BENIGN": 0, "MALICIOUS": 1}}
    made = BertForSequenceClassification.from_pretrained(source, num_labels=2, **names).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(source)
    with torch.no_grad():
        made.bert.pooler.dense.weight.copy_(torch.eye(384))
        made.bert.pooler.dense.bias.zero_()
        seen = made.bert(**tokenizer([*unsafe, *safe], padding=True, return_tensors="pt")).pooler_output
        sides = torch.tensor([4.0] * len(unsafe) + [-4.0] * len(safe))
        seen = torch.cat([seen, torch.ones(len(seen), 1)], dim=1)
        fitted = torch.linalg.solve(seen.T @ seen + 0.1 * torch.eye(385), seen.T @ sides)
        made.classifier.weight.copy_(torch.stack([torch.zeros(384), fitted[:384]]))
        made.classifier.bias.copy_(torch.stack([torch.tensor(0.0), fitted[384]]))
    made.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _words() -> Any:
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, TRIGGER: 4}
    words = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = WhitespaceSplit()
    words.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=words, **names)
