"""Pretrain a small BERT from nothing, as published (https://arxiv.org/abs/1810.04805): `bert-mini-en`, `bert-mini-zh`.

    python recipes/pretrain_bert.py en                             # one process, on the GPU if there is one
    torchrun --nproc-per-node 2 recipes/pretrain_bert.py zh        # several; --batch-size is then each one's

Vocabulary, masked words and next sentences are as in chapter 2, with whole reviews instead of a few. What a learner's
task is measured on stays out of the text. An interrupted run goes on where it stopped.
"""

import argparse
import csv
import hashlib
import io
import json
import lzma
import re
import tarfile
import zipfile
from pathlib import Path

import torch
from accelerate import PartialState
from record import write_record
from torch import nn
from torch.utils.data import DataLoader, Dataset
from transformers import BertConfig, BertForPreTraining, BertTokenizer

from course_utils import runtime
from course_utils.batches import collate_for
from course_utils.inference import cross_entropy
from course_utils.sources.download import DownloadError, Remote, fetch
from course_utils.sources.reviews import load_reviews
from course_utils.texts import text_key
from course_utils.training import fit

HELD_OUT = 100  # every hundredth review is for testing
VOCABULARY = {"en": 8000, "zh": 6000}
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_SHOP = (
    "https://raw.githubusercontent.com/SophonPlus/ChineseNlpCorpus/a0b781d72158bde242c0626c9e354d2b328865ff/datasets/{}"
)
CORPORA = {
    "imdb_unsup": Remote(
        "corpus-en/imdb_unsup.txt.xz", "8e43ae5617eb73fb195bb211d76ff482d2d8d5364102b3fcf27051235f8024a6", ()
    ),
    "imdb": Remote(
        "corpus-en/aclImdb_v1.tar.gz",
        "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe",
        ("https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",),
    ),
    "shopping": Remote(
        "corpus-zh/online_shopping_10_cats.zip",
        "6816ded66fde9d0927ecbd370b5e12d0174d1abac35192ec014ac2a0a8d25858",
        (_SHOP.format("online_shopping_10_cats/online_shopping_10_cats.zip"),),
    ),
    "waimai": Remote(
        "corpus-zh/waimai_10k.csv",
        "b8b5c11c00b51578d35937fca56e03a126b45381f1ea4b22893237cb377a26fe",
        (_SHOP.format("waimai_10k/waimai_10k.csv"),),
    ),
}


# ------------------------------------------------------------------------------------------------------ text


def read_english() -> list[str]:
    """The unlabelled film reviews of IMDB (Maas et al., 2011)."""
    try:
        with lzma.open(fetch(CORPORA["imdb_unsup"]), "rt", encoding="utf-8") as file:  # a mirror's extract
            return file.read().split("\n")
    except DownloadError:
        with tarfile.open(fetch(CORPORA["imdb"])) as archive:
            members = [m for m in archive if m.name.startswith("aclImdb/train/unsup/") and m.isfile()]
            return [archive.extractfile(m).read().decode() for m in members]


def read_chinese() -> list[str]:
    """Reviews of things bought online, but not of hotels, which are the learner's task; and of delivered meals."""
    with zipfile.ZipFile(fetch(CORPORA["shopping"])) as archive:
        shopping = io.StringIO(archive.read("online_shopping_10_cats.csv").decode())
    texts = [row["review"] for row in csv.DictReader(shopping) if row["cat"] != "酒店"]
    with fetch(CORPORA["waimai"]).open(encoding="utf-8", newline="") as file:
        return texts + [row["review"] for row in csv.DictReader(file)]


def sentences(text: str) -> list[str]:
    """A text's sentences; a Chinese clause, which a comma often ends, counts as one."""
    text = re.sub(r"<br\s*/?>|\ufeff|\s+", " ", text)
    return [part.strip() for part in re.split(r"(?<=[.!?])\s+|(?<=[。！？；，])", text) if part.strip()]


def read_corpus(language: str) -> tuple[list[list[str]], list[list[str]]]:
    """Each review as a list of sentences: those to learn from, and those held out.

    A review comes once, and not at all if one of its longer sentences is in the course's labelled reviews.
    """

    reviews = load_reviews(language)
    labelled = {text_key(text) for split in (reviews.train, reviews.validation, reviews.test) for text in split.texts}
    unique = {text_key(text): text for text in {"en": read_english, "zh": read_chinese}[language]()}
    train, held_out = [], []
    for whole, text in unique.items():
        parts = sentences(text)
        if whole in labelled or any(len(part) > 20 and text_key(part) in labelled for part in parts):
            continue
        is_held_out = int(hashlib.sha256(whole.encode()).hexdigest(), 16) % HELD_OUT == 0
        (held_out if is_held_out else train).append(parts)
    return train, held_out


def train_tokenizer(texts: list[list[str]], vocabulary: int) -> BertTokenizer:
    """BERT's own tokenizer with a WordPiece vocabulary learned from these texts."""
    empty = BertTokenizer(vocab={token: i for i, token in enumerate(SPECIAL)}, model_max_length=512)
    return empty.train_new_from_iterator(texts, vocabulary)


# --------------------------------------------------------------------------------------------------- examples


def mask_tokens(input_ids: torch.Tensor, tokenizer: BertTokenizer) -> tuple[torch.Tensor, torch.Tensor]:
    """BERT's task: guess 15 % of the tokens; 80 % of these are hidden, 10 % exchanged, 10 % left as they are.

    Args:
        input_ids: of shape (T,), with special tokens.

    Returns:
        What the model sees, and the labels: the true token where one is to be guessed, -100 elsewhere; both (T,).

    Raises:
        ValueError: the tokenizer has no mask token.
    """
    if tokenizer.mask_token_id is None:
        raise ValueError("This tokenizer has no mask token, so nothing can be hidden: BERT's and RoBERTa's have one.")
    chance = torch.rand(len(input_ids))
    chosen = (chance < 0.15) & (input_ids >= len(SPECIAL))
    labels = torch.where(chosen, input_ids, -100)
    seen = torch.where(chosen & (chance < 0.15 * 0.8), tokenizer.mask_token_id, input_ids)
    other = torch.randint(len(SPECIAL), len(tokenizer), input_ids.shape)
    return torch.where(chosen & (chance >= 0.15 * 0.9), other, seen), labels


class SentencePairs(Dataset):
    """Pairs of text pieces, the second the first's continuation in half of the cases; masked anew at each reading.

    Each review is cut into pieces of whole sentences that fill `max_length` tokens, special ones included; a piece of a
    single sentence is left out.
    `labels` has the pair's own label (0: continuation, 1: from another review) in the place of [CLS].
    """

    def __init__(self, texts: list[list[str]], tokenizer: BertTokenizer, max_length: int = 128):
        self.tokenizer, self.max_length = tokenizer, max_length
        flat = [sentence for text in texts for sentence in text]
        ids = tokenizer(flat, add_special_tokens=False, truncation=True, max_length=max_length // 2)["input_ids"]
        self.ids = torch.tensor([token for sentence in ids for token in sentence], dtype=torch.int32)
        self.ends = [0]
        for sentence in ids:
            self.ends.append(self.ends[-1] + len(sentence))
        self.pieces = []  # (first sentence, the one after the last)
        first = 0
        for text in texts:
            last = first + len(text)
            start = first
            for i in range(first, last):
                if self.ends[i + 1] - self.ends[start] > max_length - 3:
                    self.pieces.append((start, i))
                    start = i
            self.pieces.append((start, last))
            first = last
        self.pieces = [(start, end) for start, end in self.pieces if end - start > 1]
        self.lengths = [self.ends[end] - self.ends[start] for start, end in self.pieces]
        self.by_length = sorted(range(len(self)), key=self.lengths.__getitem__)
        self.rank = torch.tensor(self.by_length).argsort().tolist()

    def __len__(self):
        return len(self.pieces)

    def _other(self, index: int) -> int:
        """Another piece of about the same length: a pair then keeps its piece's length, and batches need no padding."""
        return self.by_length[(self.rank[index] + torch.randint(1, 101, ()).item()) % len(self)]

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        start, end = self.pieces[index]
        cut = self.ends[torch.randint(start + 1, end, ()).item()]
        first, second = self.ids[self.ends[start] : cut], self.ids[cut : self.ends[end]]
        is_other = torch.randint(2, ())
        if is_other:
            start, end = self.pieces[self._other(index)]
            cut = min(self.ends[start + 1 : end], key=lambda place: abs(self.ends[end] - place - len(second)))
            second = self.ids[cut : self.ends[end]][: self.max_length - 3 - len(first)]
        cls, sep = torch.tensor([[self.tokenizer.cls_token_id], [self.tokenizer.sep_token_id]], dtype=torch.int32)
        input_ids, labels = mask_tokens(torch.cat([cls, first, sep, second, sep]).long(), self.tokenizer)
        masked = labels != -100
        labels[0] = is_other
        return {
            "input_ids": input_ids,
            "attention_mask": torch.ones_like(input_ids),
            "token_type_ids": (torch.arange(len(input_ids)) >= len(first) + 2).long(),
            "masked": masked,
            "labels": labels,
        }


# ------------------------------------------------------------------------------------------------------ model


class MaskedPretraining(nn.Module):
    """BERT's two heads, with scores over the vocabulary only where a token is to be guessed: a seventh of the work."""

    def __init__(self, bert: BertForPreTraining):
        super().__init__()
        self.bert = bert

    def forward(self, masked, **inputs):
        outputs = self.bert.bert(**inputs)
        return self.bert.cls(outputs.last_hidden_state[masked], outputs.pooler_output)


def pretraining_loss(outputs: tuple[torch.Tensor, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
    """The sum of both tasks' mean cross-entropies, in nats."""
    of_words, of_pairs = outputs
    words = labels[:, 1:]
    return cross_entropy(of_words, words[words != -100]) + cross_entropy(of_pairs, labels[:, 0])


@torch.no_grad()
def held_out_scores(model: MaskedPretraining, pairs: SentencePairs) -> dict[str, float]:
    """Share of masked tokens guessed, share of pairs told apart, and the masked tokens' mean cross-entropy."""
    device = next(model.parameters()).device
    model.eval()
    torch.manual_seed(0)
    right_words = words = right_pairs = nats = 0
    for batch in DataLoader(pairs, 64, collate_fn=collate_for(model)):
        labels = batch.pop("labels").to(device)
        of_words, of_pairs = model(**{name: value.to(device) for name, value in batch.items()})
        truth = labels[:, 1:][labels[:, 1:] != -100]
        right_words += (of_words.argmax(-1) == truth).sum().item()
        right_pairs += (of_pairs.argmax(-1) == labels[:, 0]).sum().item()
        nats += cross_entropy(of_words, truth).item() * len(truth)
        words += len(truth)
    return {
        "masked_token_accuracy": right_words / words,
        "masked_token_loss": nats / words,
        "next_sentence_accuracy": right_pairs / len(pairs),
    }


def new_model(tokenizer: BertTokenizer, start_from: Path | None = None) -> BertForPreTraining:
    """BERT-mini (https://arxiv.org/abs/1908.08962): 4 layers, 256 wide, with random weights or those of a folder.

    Dropout is switched off. A few passes over much text leave nothing to learn by heart, and dropout only slows them;
    fine-tuning has it again.
    """
    if start_from:
        model = BertForPreTraining.from_pretrained(start_from)
    else:
        config = BertConfig(
            vocab_size=len(tokenizer), hidden_size=256, num_hidden_layers=4, num_attention_heads=4,
            intermediate_size=1024,
        )  # fmt: skip
        model = BertForPreTraining(config)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    if runtime.device().type == "cpu":  # in bf16 a step with fused attention takes 1.4 times as long there
        model.set_attn_implementation("eager")
    return model


def save(model: BertForPreTraining, tokenizer: BertTokenizer, folder: Path) -> None:
    """Save in half precision, for `from_pretrained` to load in full."""
    weights = {name: weight.detach().cpu() for name, weight in model.named_parameters()}  # each shared one once
    halves = {name: weight.half() if weight.ndim > 1 else weight for name, weight in weights.items()}
    model.save_pretrained(folder, state_dict=halves)
    tokenizer.backend_tokenizer.no_truncation()  # else the last call's length would be saved with it
    tokenizer.save_pretrained(folder)


def model_card(record: dict) -> str:
    """What a reader should know of the weights, with every figure taken from the record of their training."""
    options, scores = record["options"], record["held_out"]
    corpus = {
        "en": "the unlabelled film reviews of IMDB (Maas et al., 2011)",
        "zh": "the shopping and food-delivery reviews of SophonPlus/ChineseNlpCorpus, without its hotels",
    }[options["language"]]
    losses = record["loss_curve"]
    tenths = [losses[max(0, i * len(losses) // 10 - 1)] for i in range(11)]
    curve = "\n".join(f"| {i * record['steps'] // 10:,} | {loss:.2f} |" for i, loss in enumerate(tenths))
    millions = {name: record[name] / 1e6 for name in ("parameters", "tokens_an_epoch", "tokens_seen")}
    bert_base = 128_000 * 1_000_000  # tokens a step × steps, https://arxiv.org/abs/1810.04805, appendix A.2
    return f"""# bert-mini-{options["language"]}

A `BertForPreTraining` of 4 layers, 256 wide, with {millions["parameters"]:.1f} million weights and a WordPiece
vocabulary of {record["vocabulary"]:,}, both learned from nothing.

On {record["held_out_reviews"]:,} held-out reviews it guesses **{scores["masked_token_accuracy"]:.3f}** of the masked
tokens (cross-entropy {scores["masked_token_loss"]:.2f} nats), and tells a continuation from another review's text in
**{scores["next_sentence_accuracy"]:.3f}** of the pairs.

- **Data**: {corpus}: {record["reviews"]:,} reviews, {millions["tokens_an_epoch"]:.1f} million tokens. The course holds
  none of them. Reviews that are one of the course's labelled reviews, or have one as a sentence, were left out.
- **Recipe**: `{record["command"]}`: masked tokens by the 80/10/10 rule, drawn anew at each reading, and next
  sentences; {len(record["history"])} epochs, {millions["tokens_seen"]:.0f} million tokens seen, {options["batch_size"]}
  pairs of at most {options["max_length"]} tokens a step, AdamW, peak learning rate {options["lr"]}, warm-up,
  linear decay, no dropout.
- **Hardware**: {record["hardware"]}, {record["precision"]}, {record["minutes"]:.0f} minutes,
  {record["tokens_seen"] / record["minutes"] / 60:,.0f} tokens a second. PyTorch {record["torch"]}.
- **Files**: weight matrices in fp16, the rest in fp32; `record.json` has these figures.
- **Licence**: BSD-3-Clause, as the course's code.
- **Limits**: it has read reviews only, with their opinions and their prejudices, and few: BERT-base saw
  {bert_base / record["tokens_seen"]:,.0f} times as many tokens.

| step | training loss, both tasks, nats |
|---|---|
{curve}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("language", choices=VOCABULARY)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=128, help="tokens of a pair; short ones learn sooner")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--reviews", type=int, help="use this many only, for a trial")
    parser.add_argument("--num-workers", type=int, default=0, help="processes that load data: a few, beside a GPU")
    parser.add_argument("--start-from", type=Path, help="go on from the weights and the vocabulary in this folder")
    parser.add_argument("--out", type=Path, help="default: _build/recipes/bert-mini-LANGUAGE")
    options = parser.parse_args()
    out = options.out or Path(f"_build/recipes/bert-mini-{options.language}")
    if options.start_from and out.resolve() == options.start_from.resolve():
        parser.error(f"--out and --start-from are both {out}: give the new weights a folder of their own.")

    train, held_out = read_corpus(options.language)
    train = train[: options.reviews]
    torch.manual_seed(0)
    if options.start_from:
        before = json.loads((options.start_from / "record.json").read_text())
        tokenizer = BertTokenizer.from_pretrained(options.start_from)
    else:
        before = {}
        tokenizer = train_tokenizer(train, VOCABULARY[options.language])
    model = new_model(tokenizer, options.start_from)
    pairs = SentencePairs(train, tokenizer, options.max_length)
    history = fit(
        MaskedPretraining(model), pairs, epochs=options.epochs, lr=options.lr, batch_size=options.batch_size,
        loss=pretraining_loss, num_workers=options.num_workers, checkpoint_dir=out, save_every=500,
        seed=before.get("steps", 0),  # other masks and pairs than in the training that it goes on from
    )  # fmt: skip
    if not PartialState().is_main_process:
        return
    save(model, tokenizer, out)
    model = MaskedPretraining(BertForPreTraining.from_pretrained(out).to(model.device))
    tokens = sum(pairs.lengths) + 3 * len(pairs)
    scores = held_out_scores(model, SentencePairs(held_out, tokenizer, options.max_length))
    figures = {
        "held_out": scores,
        # each training reads the first so many of the corpus: the fewer are among the more
        "reviews": max(len(train), before.get("reviews", 0)),
        "held_out_reviews": len(held_out),
        "vocabulary": len(tokenizer),
        "parameters": sum(p.numel() for p in model.parameters()),
        "tokens_an_epoch": max(tokens, before.get("tokens_an_epoch", 0)),
        "tokens_seen": before.get("tokens_seen", 0) + tokens * options.epochs,
    }
    write_record(out, model_card, history, options, len(pairs), before, **figures)
    print(json.dumps(scores, indent=2), f"weights and record in {out}", sep="\n")


if __name__ == "__main__":
    main()
