"""Real cross-encoders that are as small as they get, with random weights."""

from pathlib import Path

SPREAD = 1.0  # of the weights: with the usual .02 all texts have nearly the same score


def made_cross_encoder(folder: Path, labels: list[str]) -> Path:
    """A directory that sentence-transformers loads, with one output for each label."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary += [*letters, *(f"##{letter}" for letter in letters)]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        initializer_range=SPREAD,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    torch.manual_seed(1)
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder
