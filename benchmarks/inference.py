"""A trained model at work: `cu.predict` and `cu.embed` beside transformers' pipeline and sentence-transformers.

    COURSE_MIRROR=… python benchmarks/inference.py [--record]

All run all-MiniLM-L6-v2 on the same texts (the reviews of all splits, UCI's where they can be had), after a warm-up.
`cu` in the precision that this hardware computes fastest, and in float32; the pipeline and sentence-transformers (where
it is installed) in float32, 64 texts at a time, and in half precision on a GPU. They are given texts, so what
`cu.tokenize` takes is counted on the side of `cu` too. The share of the rate of one large matrix product is that of the
real tokens.
"""

from importlib.util import find_spec

import torch
from common import argument_parser, bert_operations, busy_share, matrix_rate, report, seconds_of
from transformers import BertForSequenceClassification, BertTokenizer, pipeline

import course_utils as cu
from course_utils import runtime

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def others(folder, tokenizer, texts, precision):
    """Name → what runs the texts."""
    device, dtype = runtime.device(), HALF.get(precision, torch.float32)
    model = BertForSequenceClassification.from_pretrained(folder, dtype=dtype).to(device)
    classify = pipeline("text-classification", model=model, tokenizer=tokenizer, device=device)
    found = {f"pipeline-{precision}": lambda: classify(texts, batch_size=64, truncation=True)}
    if find_spec("sentence_transformers"):
        from sentence_transformers import SentenceTransformer, models

        bert = models.Transformer(str(folder), model_args={"dtype": dtype})
        pooled = models.Pooling(model.config.hidden_size)
        encoder = SentenceTransformer(modules=[bert, pooled], device=device.type)
        found[f"sentence-transformers-{precision}"] = lambda: encoder.encode(texts, batch_size=64)
    return found


if __name__ == "__main__":
    options = argument_parser(__doc__).parse_args()
    cu.setup(seed=0)
    folder = cu.checkpoint("bert-base-uncased")
    tokenizer = BertTokenizer.from_pretrained(folder)
    reviews = cu.load_reviews("en")
    parts = (reviews.train, reviews.validation, reviews.test)
    on_gpu = runtime.device().type == "cuda"
    texts = [text for part in parts for text in part.texts] * (10 if on_gpu else 1)
    texts = texts[:128] if options.quick else texts if on_gpu else texts[:1000]
    split = cu.Split(texts, [0] * len(texts))
    model = BertForSequenceClassification.from_pretrained(folder)
    data = cu.tokenize(split, tokenizer)

    best = runtime.precision(runtime.device())
    actions = {}
    for precision in dict.fromkeys([best, "fp32"]):
        for name, function in {"predict": cu.predict, "embed": cu.embed}.items():
            actions[f"{name}-{precision}"] = lambda f=function, p=precision: f(
                model, cu.tokenize(split, tokenizer), precision=p
            )
    for precision in dict.fromkeys(["fp32", best if on_gpu else "fp32"]):
        actions |= others(folder, tokenizer, texts, precision)
    rate, tokens = matrix_rate(), sum(data.lengths)
    values = {"inference-tokenize": len(texts) / seconds_of(lambda: cu.tokenize(split, tokenizer))}
    for name, action in actions.items():
        seconds = seconds_of(action)
        values[f"inference-{name}"] = len(texts) / seconds
        operations = bert_operations(model, tokens, training=False)
        values[f"inference-{name}-share-of-matrix-rate"] = operations / seconds / rate
        values[f"inference-{name}-busy"] = busy_share(action)
        print(f"{name}: {len(texts) / seconds:,.0f} texts a second", flush=True)
    report("", values, source=runtime.checkpoints_are(), record=options.record)
