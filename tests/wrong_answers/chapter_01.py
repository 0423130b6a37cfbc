"""The usual wrong answers to each exercise: what is wrong → the code a student would write. Each must be refused."""

WRONG_ANSWERS = {
    "01-memory": {
        "counts in GiB, of 1024 x 1024 x 1024 bytes": """
def gigabytes(parameters, bytes_each=4, training=False):
    return parameters * bytes_each * (4 if training else 1) / 1024**3
""",
        "gives megabytes": """
def gigabytes(parameters, bytes_each=4, training=False):
    return parameters * bytes_each * (4 if training else 1) / 1e6
""",
        "forgets bytes_each": """
def gigabytes(parameters, bytes_each=4, training=False):
    return parameters * 4 * (4 if training else 1) / 1e9
""",
        "counts bits": """
def gigabytes(parameters, bytes_each=4, training=False):
    return parameters * bytes_each * 8 * (4 if training else 1) / 1e9
""",
        "forgets the weights themselves in training": """
def gigabytes(parameters, bytes_each=4, training=False):
    return parameters * bytes_each * (3 if training else 1) / 1e9
""",
        "ignores training": """
def gigabytes(parameters, bytes_each=4, training=False):
    return parameters * bytes_each / 1e9
""",
        "rounds a small model to nothing": """
def gigabytes(parameters, bytes_each=4, training=False):
    return parameters * bytes_each * (4 if training else 1) // 10**9
""",
        "prints instead of returning": """
def gigabytes(parameters, bytes_each=4, training=False):
    print(parameters * bytes_each * (4 if training else 1) / 1e9)
""",
    },
    "01-heaviest": {
        "takes the last tensor": """
def heaviest(network):
    name, p = list(network.named_parameters())[-1]
    return name, p.numel() / sum(q.numel() for q in network.parameters())
""",
        "takes the longest tensor": """
def heaviest(network):
    sizes = {name: len(p) for name, p in network.named_parameters()}
    name = max(sizes, key=sizes.get)
    return name, sizes[name] / sum(sizes.values())
""",
        "leaves the biases out of the sum": """
def heaviest(network):
    sizes = {name: p.numel() for name, p in network.named_parameters() if p.ndim > 1}
    name = max(sizes, key=sizes.get)
    return name, sizes[name] / sum(sizes.values())
""",
        "gives a number instead of a share": """
def heaviest(network):
    sizes = {name: p.numel() for name, p in network.named_parameters()}
    name = max(sizes, key=sizes.get)
    return name, float(sizes[name])
""",
        "gives a percentage": """
def heaviest(network):
    sizes = {name: p.numel() for name, p in network.named_parameters()}
    name = max(sizes, key=sizes.get)
    return name, 100 * sizes[name] / sum(sizes.values())
""",
        "looks at the size of the weights' values, which the meta device lacks": """
def heaviest(network):
    sizes = {name: p.abs().sum() for name, p in network.named_parameters()}
    name = sorted(sizes, key=lambda n: str(sizes[n]))[0]
    return name, sizes[name]
""",
        "multiplies the first two sides only": """
def heaviest(network):
    sizes = {name: (p.shape[0] * p.shape[1] if p.ndim > 1 else p.shape[0]) for name, p in network.named_parameters()}
    name = max(sizes, key=sizes.get)
    return name, sizes[name] / sum(sizes.values())
""",
        "returns the name only": """
def heaviest(network):
    sizes = {name: p.numel() for name, p in network.named_parameters()}
    return max(sizes, key=sizes.get), None
""",
        "returns nothing": """
def heaviest(network):
    sizes = {name: p.numel() for name, p in network.named_parameters()}
    print(max(sizes, key=sizes.get), max(sizes.values()) / sum(sizes.values()))
""",
    },
    "01-labels": {
        "gives the place in the list": """
def labels_needed(sizes, scores, target):
    for i, seeds in enumerate(scores):
        if sum(seeds) / len(seeds) >= target:
            return i
""",
        "is content with one lucky seed": """
def labels_needed(sizes, scores, target):
    for size, seeds in zip(sizes, scores):
        if max(seeds) >= target:
            return size
""",
        "asks every seed to reach it": """
def labels_needed(sizes, scores, target):
    for size, seeds in zip(sizes, scores):
        if min(seeds) >= target:
            return size
""",
        "wants more than the target": """
def labels_needed(sizes, scores, target):
    for size, seeds in zip(sizes, scores):
        if sum(seeds) / len(seeds) > target:
            return size
""",
        "gives the largest size": """
def labels_needed(sizes, scores, target):
    enough = [size for size, seeds in zip(sizes, scores) if sum(seeds) / len(seeds) >= target]
    return enough[-1] if enough else None
""",
        "gives the size with the best score": """
def labels_needed(sizes, scores, target):
    means = [sum(seeds) / len(seeds) for seeds in scores]
    return sizes[means.index(max(means))] if max(means) >= target else None
""",
        "gives the last size where none is enough": """
def labels_needed(sizes, scores, target):
    for size, seeds in zip(sizes, scores):
        if sum(seeds) / len(seeds) >= target:
            return size
    return size
""",
        "crashes where none is enough": """
def labels_needed(sizes, scores, target):
    return [size for size, seeds in zip(sizes, scores) if sum(seeds) / len(seeds) >= target][0]
""",
        "knows three seeds only": """
def labels_needed(sizes, scores, target):
    for size, seeds in zip(sizes, scores):
        if sum(seeds) / 3 >= target:
            return size
""",
        "returns in the first round": """
def labels_needed(sizes, scores, target):
    for size, seeds in zip(sizes, scores):
        if sum(seeds) / len(seeds) >= target:
            return size
        else:
            return None
""",
    },
    "01-rule": {
        "always True": "def rule(text):\n    return True",
        "always False": "def rule(text):\n    return False",
        "hardly ever True": "def rule(text):\n    return text == contest_texts[0]",
        "a question about the length": "def rule(text):\n    return len(text) > 100",
        "a question about the topic": "def rule(text):\n    return 'film' in text or 'movie' in text or 'plot' in text",
        "a question that nobody can answer": "def rule(text):\n    return len(text) % 2 == 0",
        "a question about a letter": "def rule(text):\n    return 'k' in text",
        "returns nothing": "def rule(text):\n    'the' in text.split()",
        "gives a number": "def rule(text):\n    return text.count('o') + 2",
        "answers with a word": "def rule(text):\n    return 'yes' if 'the' in text.split() else 'no'",
    },
}
