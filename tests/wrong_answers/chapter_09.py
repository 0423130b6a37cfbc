"""The usual wrong answers to each exercise: what is wrong → the code a student would write. Each must be refused."""

# The lines before the solution's region, which every answer to the last exercise begins with.
GIVEN = """
stored = cu.load_scores("09-beat")
logits, labels = stored["choosing_logits"].float(), stored["choosing_labels"]
"""

WRONG_ANSWERS = {
    "09-head": {
        "takes eval() for freezing": """
def only_the_head_learns(model, num_labels):
    model.eval()
    model.fc = torch.nn.Linear(model.fc.in_features, num_labels)
    return model
""",
        "freezes the new head too": """
def only_the_head_learns(model, num_labels):
    model.fc = torch.nn.Linear(model.fc.in_features, num_labels)
    return cu.freeze(model)
""",
        "forgets batch norm": """
def only_the_head_learns(model, num_labels):
    model.requires_grad_(False)
    model.fc = torch.nn.Linear(model.fc.in_features, num_labels)
    return model
""",
        "knows one width only": """
def only_the_head_learns(model, num_labels):
    cu.freeze(model)
    model.fc = torch.nn.Linear(512, num_labels)
    return model
""",
        "keeps the old head": """
def only_the_head_learns(model, num_labels):
    cu.freeze(model)
    cu.unfreeze(model.fc)
    return model
""",
        "returns nothing": """
def only_the_head_learns(model, num_labels):
    cu.freeze(model)
    model.fc = torch.nn.Linear(model.fc.in_features, num_labels)
""",
    },
    "09-rates": {
        "the first layer learns fastest": """
def rates(layers, lr, decay):
    return {name: lr * decay**i for i, name in enumerate(layers)}
""",
        "one step too many": """
def rates(layers, lr, decay):
    return {name: lr * decay ** (len(layers) - i) for i, name in enumerate(layers)}
""",
        "falls on a straight line": """
def rates(layers, lr, decay):
    return {name: lr * (decay * (len(layers) - 1 - i) or 1) for i, name in enumerate(layers)}
""",
        "a list": """
def rates(layers, lr, decay):
    return [lr * decay ** (len(layers) - 1 - i) for i in range(len(layers))]
""",
    },
    "09-gain": {
        "the wrong way round": """
def gain(score, seeds):
    from statistics import mean, stdev
    differences = [score(False, seed) - score(True, seed) for seed in seeds]
    return mean(differences), stdev(differences)
""",
        "trains twice as often as needed": """
def gain(score, seeds):
    from statistics import mean, stdev
    again = [[score(True, seed) - score(False, seed) for seed in seeds] for _ in range(2)]
    return mean(again[0]), stdev(again[1])
""",
        "one seed for random weights": """
def gain(score, seeds):
    from statistics import mean, stdev
    base = score(False, seeds[0])
    differences = [score(True, seed) - base for seed in seeds]
    return mean(differences), stdev(differences)
""",
        "the best seed instead of the mean": """
def gain(score, seeds):
    from statistics import stdev
    differences = [score(True, seed) - score(False, seed) for seed in seeds]
    return max(differences), stdev(differences)
""",
        "divides by n": """
def gain(score, seeds):
    from statistics import mean, pstdev
    differences = [score(True, seed) - score(False, seed) for seed in seeds]
    return mean(differences), pstdev(differences)
""",
        "the spread of one arm": """
def gain(score, seeds):
    from statistics import mean, stdev
    ours = [score(True, seed) for seed in seeds]
    theirs = [score(False, seed) for seed in seeds]
    return mean(ours) - mean(theirs), stdev(ours)
""",
    },
    "09-beat": {
        why: GIVEN + answer
        for why, answer in {
            "the first run itself": """
def combine(logits):
    return logits[0]
""",
            "the best single one": """
def combine(logits):
    best = (globals()["logits"].argmax(dim=-1) == labels).float().mean(dim=1).argmax()
    return logits[best]
""",
            "lets the odd one shout": """
def combine(logits):
    return logits.softmax(dim=-1).sum(dim=0)
""",
            "whoever is surest": """
def combine(logits):
    p = logits.softmax(dim=-1)
    surest = p.max(dim=-1).values.argmax(dim=0)
    return p[surest, torch.arange(p.shape[1])]
""",
            "shares over the networks": """
def combine(logits):
    return logits.softmax(dim=0).sum(dim=0)
""",
            "hands in the classes": """
def combine(logits):
    return logits.argmax(dim=-1).mode(dim=0).values
""",
            "answers for the pictures that it knows": """
best = logits[[0, 1, 2, 3]].softmax(dim=-1).sum(dim=0)
def combine(logits):
    return best
""",
            "the labels themselves": """
def combine(logits):
    return torch.nn.functional.one_hot(cu.load_scores("09-beat")["judging_labels"], 10).float()
""",
            "no better than guessing": """
def combine(logits):
    return torch.zeros(logits.shape[1], 10)
""",
            "the logarithm of 0": """
def combine(logits):
    return torch.zeros(logits.shape[1], 10).log()
""",
            "an accuracy": """
def combine(logits):
    return (logits[0].argmax(dim=-1) == 0).float().mean().item()
""",
        }.items()
    },
}
