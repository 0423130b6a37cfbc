"""The usual wrong answers to each exercise: what is wrong → the code a student would write. Each must be refused."""

import torch
from torch import nn
from torch.utils.data import TensorDataset

import course_utils as cu


class Labelled(TensorDataset):
    """Five rows that an identity network classifies with two mistakes."""

    def __init__(self):
        self.labels, self.classes = [0, 1, 2, 0, 1], list("abcdefghij")
        answers = torch.tensor([0, 1, 2, 3, 4])
        super().__init__(nn.functional.one_hot(answers, 10).float(), torch.tensor(self.labels))


VALIDATION = Labelled()
IDENTITY = nn.Identity()
# What the chapter defines before its exercises and their tests use.
NAMES = {
    "cu": cu,
    "pictures": VALIDATION,
    "validation": VALIDATION,
    "plain_accuracy": 0.5,
    **dict.fromkeys(("plain", "varied", "partial", "graded"), IDENTITY),
}

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
        "hands in the classes": "my_logits = cu.predict(varied, validation).argmax(dim=-1)",
        "the labels themselves": "my_logits = torch.nn.functional.one_hot(torch.tensor(validation.labels), 10).float()",
        "no better than guessing": "my_logits = torch.zeros(len(validation), 10)",
        "an accuracy": "my_logits = cu.evaluate(varied, validation).accuracy",
        "other pictures": "my_logits = cu.predict(varied, validation).repeat(2, 1)",
        "the logarithm of 0": "my_logits = torch.zeros(len(validation), 10).log()",
    },
}
