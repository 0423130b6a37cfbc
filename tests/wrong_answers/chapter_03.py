"""The usual wrong answers to each exercise: what is wrong → the code a student would write. Each must be refused."""

# The lines before the solution's region, which every answer to the last exercise begins with.
GIVEN = """
stored = cu.load_scores("03-remember")
logits, labels = stored["choosing_logits"].float(), stored["choosing_labels"]
"""

WRONG_ANSWERS = {
    "03-objective": {
        "forgets the penalty": """
def objective(logits, labels, weights, strength):
    return torch.nn.functional.cross_entropy(logits, labels)
""",
        "adds the costs instead of taking their mean": """
def objective(logits, labels, weights, strength):
    penalty = sum((w ** 2).sum() for w in weights)
    return torch.nn.functional.cross_entropy(logits, labels, reduction="sum") + strength * penalty
""",
        "takes the length, not its square": """
def objective(logits, labels, weights, strength):
    return torch.nn.functional.cross_entropy(logits, labels) + strength * sum(w.norm() for w in weights)
""",
        "takes the mean of the squares": """
def objective(logits, labels, weights, strength):
    return torch.nn.functional.cross_entropy(logits, labels) + strength * sum((w ** 2).mean() for w in weights)
""",
        "penalises the first tensor only": """
def objective(logits, labels, weights, strength):
    return torch.nn.functional.cross_entropy(logits, labels) + strength * (weights[0] ** 2).sum()
""",
        "applies softmax before the cross-entropy": """
def objective(logits, labels, weights, strength):
    penalty = sum((w ** 2).sum() for w in weights)
    return torch.nn.functional.cross_entropy(logits.softmax(dim=-1), labels) + strength * penalty
""",
        "multiplies the cost too": """
def objective(logits, labels, weights, strength):
    penalty = sum((w ** 2).sum() for w in weights)
    return strength * (torch.nn.functional.cross_entropy(logits, labels) + penalty)
""",
        "cuts the penalty off from its gradient": """
def objective(logits, labels, weights, strength):
    penalty = sum((w ** 2).sum().item() for w in weights)
    return (torch.nn.functional.cross_entropy(logits, labels) + strength * penalty).requires_grad_()
""",
        "returns a float": """
def objective(logits, labels, weights, strength):
    penalty = sum((w ** 2).sum() for w in weights)
    return (torch.nn.functional.cross_entropy(logits, labels) + strength * penalty).item()
""",
    },
    "03-last": {
        "takes the last position, padding or not": """
def last_real(outputs, attention_mask):
    return outputs[:, -1]
""",
        "takes the first token": """
def last_real(outputs, attention_mask):
    return outputs[:, 0]
""",
        "is one too far": """
def last_real(outputs, attention_mask):
    last = attention_mask.sum(dim=1).clamp(max=attention_mask.shape[1] - 1)
    return outputs[torch.arange(len(outputs)), last]
""",
        "takes the mean of the real tokens": """
def last_real(outputs, attention_mask):
    real = attention_mask.unsqueeze(-1)
    return (outputs * real).sum(dim=1) / real.sum(dim=1)
""",
        "uses one text's length for all": """
def last_real(outputs, attention_mask):
    return outputs[:, attention_mask[0].sum() - 1]
""",
        "forgets which text is which": """
def last_real(outputs, attention_mask):
    return outputs[:, attention_mask.sum(dim=1) - 1]
""",
        "returns a list": """
def last_real(outputs, attention_mask):
    return [output[mask.sum() - 1] for output, mask in zip(outputs, attention_mask)]
""",
    },
    "03-distance": {
        "counts the new head": """
def distance(model, start):
    return sum(((p - start.get(n, torch.zeros_like(p))) ** 2).sum() for n, p in model.named_parameters())
""",
        "measures the weights' size, not how far they went": """
def distance(model, start):
    return sum((p ** 2).sum() for n, p in model.named_parameters() if n in start)
""",
        "takes the length, not its square": """
def distance(model, start):
    moved = [(p - start[n]).flatten() for n, p in model.named_parameters() if n in start]
    return torch.cat(moved).norm()
""",
        "takes absolute differences": """
def distance(model, start):
    return sum((p - start[n]).abs().sum() for n, p in model.named_parameters() if n in start)
""",
        "leaves the biases out": """
def distance(model, start):
    return sum(((p - start[n]) ** 2).sum() for n, p in model.named_parameters() if n in start and p.ndim > 1)
""",
        "cuts itself off from the gradient": """
def distance(model, start):
    return sum(((p.detach() - start[n]) ** 2).sum() for n, p in model.named_parameters() if n in start).requires_grad_()
""",
        "returns a float": """
def distance(model, start):
    return sum(((p - start[n]) ** 2).sum().item() for n, p in model.named_parameters() if n in start)
""",
    },
    "03-remember": {
        "changes nothing": GIVEN
        + """
def remember(logits):
    return logits
""",
        "raises the new species": GIVEN
        + """
def remember(logits):
    return torch.cat([logits[:, :10], logits[:, 10:] + 2], dim=1)
""",
        "applies softmax, which keeps the order": GIVEN
        + """
def remember(logits):
    return logits.softmax(dim=-1)
""",
        "raises all by the same number": GIVEN
        + """
def remember(logits):
    return logits + 5
""",
        "lowers the new species by too little": GIVEN
        + """
def remember(logits):
    return torch.cat([logits[:, :10], logits[:, 10:] - 2], dim=1)
""",
        "rules the new species out": GIVEN
        + """
def remember(logits):
    return torch.cat([logits[:, :10], logits[:, 10:] - 1000], dim=1)
""",
        "leaves them out by infinity": GIVEN
        + """
def remember(logits):
    changed = logits.clone()
    changed[:, 10:] = -float("inf")
    return changed
""",
        "hands in the labels that it chose by": GIVEN
        + """
def remember(logits):
    return torch.nn.functional.one_hot(labels, 18).float()
""",
        "hands in its own pictures' scores, whatever it is given": GIVEN
        + """
mine = logits.clone()
mine[:, 10:] -= 8
def remember(logits):
    return mine
""",
        "gives answers, not scores": GIVEN
        + """
def remember(logits):
    changed = logits.clone()
    changed[:, 10:] -= 8
    return changed.argmax(dim=-1)
""",
        "changes a copy and returns nothing": GIVEN
        + """
def remember(logits):
    changed = logits.clone()
    changed[:, 10:] -= 8
""",
    },
}
