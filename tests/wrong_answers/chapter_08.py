"""The usual wrong answers to each exercise: what is wrong → the code a student would write. Each must be refused."""

# A right answer, of which each wrong one to 08-card changes one thing.
CARD = """
def model_card(facts):
    block = "---\\nlanguage: {language}\\nlicense: {license}\\nbase_model: {base_model}\\n---\\n"
    result = "Accuracy {accuracy:.2f} on {test} test reviews, the baseline is {baseline:.2f}.\\n"
    limits = "## Limitations\\n" + "It fails on irony and must not be used to judge anybody, anywhere, ever. " * 2
    return (block + result + limits).format(**facts)
"""

WRONG_ANSWERS = {
    "08-recall": {
        "gives the precision": """
def recalls(prediction):
    answers = prediction.predictions.argmax(axis=-1)
    labels = prediction.label_ids
    return {f"recall_{c}": float((labels[answers == c] == c).mean()) for c in sorted(set(labels.tolist()))}
""",
        "divides by all examples": """
def recalls(prediction):
    answers = prediction.predictions.argmax(axis=-1)
    labels = prediction.label_ids
    return {f"recall_{c}": float(((answers == c) & (labels == c)).mean()) for c in set(labels.tolist())}
""",
        "gives percents": """
def recalls(prediction):
    answers = prediction.predictions.argmax(axis=-1)
    labels = prediction.label_ids
    return {f"recall_{c}": 100 * float((answers[labels == c] == c).mean()) for c in set(labels.tolist())}
""",
        "knows two labels only": """
def recalls(prediction):
    answers = prediction.predictions.argmax(axis=-1)
    labels = prediction.label_ids
    return {f"recall_{c}": float((answers[labels == c] == c).mean()) for c in (0, 1)}
""",
        "names them by number": """
def recalls(prediction):
    answers = prediction.predictions.argmax(axis=-1)
    labels = prediction.label_ids
    return {c: float((answers[labels == c] == c).mean()) for c in set(labels.tolist())}
""",
        "returns a list": """
def recalls(prediction):
    answers = prediction.predictions.argmax(axis=-1)
    labels = prediction.label_ids
    return [float((answers[labels == c] == c).mean()) for c in sorted(set(labels.tolist()))]
""",
        "returns arrays": """
def recalls(prediction):
    answers = prediction.predictions.argmax(axis=-1)
    labels = prediction.label_ids
    return {f"recall_{c}": answers[labels == c] == c for c in set(labels.tolist())}
""",
        "gives the accuracy for each label": """
def recalls(prediction):
    answers = prediction.predictions.argmax(axis=-1)
    labels = prediction.label_ids
    return {f"recall_{c}": float((answers == labels).mean()) for c in set(labels.tolist())}
""",
    },
    "08-memory": {
        "lets frozen weights learn": """
def training_bytes(model, moments):
    return sum((2 + moments) * w.numel() * w.element_size() for w in model.parameters())
""",
        "forgets that frozen weights are there": """
def training_bytes(model, moments):
    learning = [w for w in model.parameters() if w.requires_grad]
    return sum((2 + moments) * w.numel() * w.element_size() for w in learning)
""",
        "forgets the gradient": """
def training_bytes(model, moments):
    return sum((1 + moments * w.requires_grad) * w.numel() * w.element_size() for w in model.parameters())
""",
        "takes four bytes for granted": """
def training_bytes(model, moments):
    return sum((1 + (1 + moments) * w.requires_grad) * w.numel() * 4 for w in model.parameters())
""",
        "counts what is no parameter": """
def training_bytes(model, moments):
    total = sum(t.numel() * t.element_size() for t in model.state_dict().values())
    learning = sum(w.numel() * w.element_size() for w in model.parameters() if w.requires_grad)
    return total + (1 + moments) * learning
""",
        "counts a shared weight twice": """
def training_bytes(model, moments):
    weights = [w for m in model.modules() for w in m._parameters.values() if w is not None]
    return sum((1 + (1 + moments) * w.requires_grad) * w.numel() * w.element_size() for w in weights)
""",
        "always thinks of AdamW": """
def training_bytes(model, moments):
    return sum((1 + 3 * w.requires_grad) * w.numel() * w.element_size() for w in model.parameters())
""",
        "gives megabytes": """
def training_bytes(model, moments):
    return sum((1 + (1 + moments) * w.requires_grad) * w.numel() * w.element_size() for w in model.parameters()) / 1e6
""",
    },
    "08-pooling": {
        "ignores the padding": """
def max_pool(hidden, attention_mask):
    return hidden.amax(dim=1)
""",
        "multiplies by the mask": """
def max_pool(hidden, attention_mask):
    return (hidden * attention_mask.unsqueeze(-1)).amax(dim=1)
""",
        "takes the mean": """
def max_pool(hidden, attention_mask):
    mask = attention_mask.unsqueeze(-1)
    return (hidden * mask).sum(dim=1) / mask.sum(dim=1)
""",
        "takes the maximum over the features": """
def max_pool(hidden, attention_mask):
    return hidden.masked_fill(attention_mask.unsqueeze(-1) == 0, float("-inf")).amax(dim=2)
""",
        "returns values and positions": """
def max_pool(hidden, attention_mask):
    return hidden.masked_fill(attention_mask.unsqueeze(-1) == 0, float("-inf")).max(dim=1)
""",
        "writes into its argument": """
def max_pool(hidden, attention_mask):
    hidden[attention_mask == 0] = float("-inf")
    return hidden.amax(dim=1)
""",
        "masks the tokens instead of the padding": """
def max_pool(hidden, attention_mask):
    return hidden.masked_fill(attention_mask.unsqueeze(-1) == 1, float("-inf")).amax(dim=1)
""",
        "fills with a number that is not small enough": """
def max_pool(hidden, attention_mask):
    return hidden.masked_fill(attention_mask.unsqueeze(-1) == 0, -1e4).amax(dim=1)
""",
        "reads the first token": """
def max_pool(hidden, attention_mask):
    return hidden[:, 0]
""",
    },
    "08-card": {
        "has no block for machines": CARD.replace("(block + result", "(result"),
        "names no licence": CARD.replace("license: {license}\\n", ""),
        "leaves the licence empty": CARD.replace(" {license}", ""),
        "types the licence in": CARD.replace("{license}", "apache-2.0"),
        "types the score in": CARD.replace("{accuracy:.2f}", "0.92"),
        "gives the score with all its digits": CARD.replace("{accuracy:.2f}", "{accuracy}"),
        "leaves the baseline out": CARD.replace("{baseline:.2f}", "lower"),
        "hides the score among the block's keys": CARD.replace("Accuracy {accuracy:.2f}", "Good").replace(
            "base_model:", "score: {accuracy:.2f}\\nbase_model:"
        ),
        "does not say on how many reviews": CARD.replace("{test}", "many"),
        "knows no limits": CARD.replace(" + limits", ""),
        "has a heading and nothing below it": CARD.replace(" * 2", "[:8]"),
        "is no string": CARD.replace("return (", "return [(").replace("**facts)", "**facts)]"),
        "prints it": CARD.replace("return (", "print((").replace("**facts)", "**facts))"),
    },
}
