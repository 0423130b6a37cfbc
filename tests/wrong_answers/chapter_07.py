"""The usual wrong answers to each exercise: what is wrong → the code a student would write. Each must be refused."""

WRONG_ANSWERS = {
    "07-accuracy": {
        "averages the batches' accuracies": """
def accuracy_of(batches):
    scores = [(logits.argmax(dim=-1) == labels).float().mean().item() for logits, labels in batches]
    return sum(scores) / len(scores)
""",
        "counts instead of giving a share": """
def accuracy_of(batches):
    return float(sum((logits.argmax(dim=-1) == labels).sum().item() for logits, labels in batches))
""",
        "returns a tensor": """
def accuracy_of(batches):
    logits, labels = (torch.cat(part) for part in zip(*batches))
    return (logits.argmax(dim=-1) == labels).float().mean()
""",
        "prints instead of returning": """
def accuracy_of(batches):
    logits, labels = (torch.cat(part) for part in zip(*batches))
    print((logits.argmax(dim=-1) == labels).float().mean().item())
""",
        "knows two classes only": """
def accuracy_of(batches):
    logits, labels = (torch.cat(part) for part in zip(*((a[:, :2], b) for a, b in batches)))
    return ((logits[:, 1] > logits[:, 0]).long() == labels).float().mean().item()
""",
    },
    "07-step": {
        "never clears the gradients": """
def train_step(model, inputs, labels, optimizer):
    loss = torch.nn.functional.cross_entropy(model(inputs), labels)
    loss.backward()
    optimizer.step()
    return loss.item()
""",
        "clears the gradients before they are used": """
def train_step(model, inputs, labels, optimizer):
    loss = torch.nn.functional.cross_entropy(model(inputs), labels)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()
""",
        "never computes gradients": """
def train_step(model, inputs, labels, optimizer):
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(inputs), labels)
    optimizer.step()
    return loss.item()
""",
        "never takes the step": """
def train_step(model, inputs, labels, optimizer):
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(inputs), labels)
    loss.backward()
    return loss.item()
""",
        "returns the loss after the step": """
def train_step(model, inputs, labels, optimizer):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(inputs), labels).backward()
    optimizer.step()
    return torch.nn.functional.cross_entropy(model(inputs), labels).item()
""",
        "applies softmax before the cross-entropy": """
def train_step(model, inputs, labels, optimizer):
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(inputs).softmax(dim=-1), labels)
    loss.backward()
    optimizer.step()
    return loss.item()
""",
        "returns a tensor that holds on to the graph": """
def train_step(model, inputs, labels, optimizer):
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(inputs), labels)
    loss.backward()
    optimizer.step()
    return loss
""",
    },
    "07-mistakes": {
        "gives the most confident answers, right ones too": """
def confident_mistakes(probabilities, labels, k):
    return probabilities.max(dim=-1).values.argsort(descending=True)[:k].tolist()
""",
        "sorts the wrong way round": """
def confident_mistakes(probabilities, labels, k):
    confidence, answer = probabilities.max(dim=-1)
    wrong = (answer != labels).nonzero()[:, 0]
    return wrong[confidence[wrong].argsort()][:k].tolist()
""",
        "gives positions among the mistakes": """
def confident_mistakes(probabilities, labels, k):
    confidence, answer = probabilities.max(dim=-1)
    return confidence[answer != labels].argsort(descending=True)[:k].tolist()
""",
        "fills up with right answers": """
def confident_mistakes(probabilities, labels, k):
    confidence, answer = probabilities.max(dim=-1)
    return (confidence * (answer != labels)).argsort(descending=True)[:k].tolist()
""",
        "returns a tensor": """
def confident_mistakes(probabilities, labels, k):
    confidence, answer = probabilities.max(dim=-1)
    wrong = (answer != labels).nonzero()[:, 0]
    return wrong[confidence[wrong].argsort(descending=True)][:k]
""",
        "returns a list of tensors": """
def confident_mistakes(probabilities, labels, k):
    confidence, answer = probabilities.max(dim=-1)
    wrong = (answer != labels).nonzero()[:, 0]
    return list(wrong[confidence[wrong].argsort(descending=True)][:k])
""",
        "loses a mistake that is alone": """
def confident_mistakes(probabilities, labels, k):
    confidence, answer = probabilities.max(dim=-1)
    wrong = (answer != labels).nonzero().squeeze()
    return wrong[confidence[wrong].argsort(descending=True)][:k].tolist()
""",
        "sorts by the probability of the true label": """
def confident_mistakes(probabilities, labels, k):
    wrong = (probabilities.argmax(dim=-1) != labels).nonzero()[:, 0]
    true = probabilities[wrong, labels[wrong]]
    return wrong[true.argsort()][:k].tolist()
""",
    },
    "07-pair": {
        "replaces a word wherever it occurs": """
def flips(sentence, words, judge):
    changed = [sentence.replace(old, new) for old in sentence.split() for new in words]
    turned = {text for text in changed if (judge(text) > 0.5) != (judge(sentence) > 0.5)}
    return sorted(turned, key=lambda text: -abs(judge(text) - judge(sentence)))
""",
        "adds a word instead of replacing one": """
def flips(sentence, words, judge):
    pieces = sentence.split()
    changed = [" ".join([*pieces[:i], word, *pieces[i:]]) for i in range(len(pieces)) for word in words]
    turned = [text for text in changed if (judge(text) > 0.5) != (judge(sentence) > 0.5)]
    return sorted(turned, key=lambda text: -abs(judge(text) - judge(sentence)))
""",
        "replaces the first word only": """
def flips(sentence, words, judge):
    changed = [" ".join([word, *sentence.split()[1:]]) for word in words]
    return [text for text in changed if (judge(text) > 0.5) != (judge(sentence) > 0.5)]
""",
        "gives all, whatever the verdict": """
def flips(sentence, words, judge):
    pieces = sentence.split()
    changed = [" ".join([*pieces[:i], word, *pieces[i + 1 :]]) for i in range(len(pieces)) for word in words]
    return sorted(changed, key=lambda text: -abs(judge(text) - judge(sentence)))
""",
        "looks for complaints only": """
def flips(sentence, words, judge):
    pieces = sentence.split()
    changed = [" ".join([*pieces[:i], word, *pieces[i + 1 :]]) for i in range(len(pieces)) for word in words]
    return sorted([text for text in changed if judge(text) < 0.5], key=judge)
""",
        "does not sort": """
def flips(sentence, words, judge):
    pieces = sentence.split()
    changed = [" ".join([*pieces[:i], word, *pieces[i + 1 :]]) for i in range(len(pieces)) for word in words]
    return [text for text in changed if (judge(text) > 0.5) != (judge(sentence) > 0.5)]
""",
        "gives the smallest change first": """
def flips(sentence, words, judge):
    pieces = sentence.split()
    changed = [" ".join([*pieces[:i], word, *pieces[i + 1 :]]) for i in range(len(pieces)) for word in words]
    turned = [text for text in changed if (judge(text) > 0.5) != (judge(sentence) > 0.5)]
    return sorted(turned, key=lambda text: abs(judge(text) - judge(sentence)))
""",
        "sorts by the probability, whatever it was before": """
def flips(sentence, words, judge):
    pieces = sentence.split()
    changed = [" ".join([*pieces[:i], word, *pieces[i + 1 :]]) for i in range(len(pieces)) for word in words]
    return sorted([text for text in changed if (judge(text) > 0.5) != (judge(sentence) > 0.5)], key=judge)
""",
        "asks the chapter's own model": """
def flips(sentence, words, judge):
    pieces = sentence.split()
    changed = [" ".join([*pieces[:i], word, *pieces[i + 1 :]]) for i in range(len(pieces)) for word in words]
    return [text for text in changed if (p_positive(text) > 0.5) != (p_positive(sentence) > 0.5)]
""",
        "gives pairs of sentence and probability": """
def flips(sentence, words, judge):
    pieces = sentence.split()
    changed = [" ".join([*pieces[:i], word, *pieces[i + 1 :]]) for i in range(len(pieces)) for word in words]
    turned = [(judge(text), text) for text in changed if (judge(text) > 0.5) != (judge(sentence) > 0.5)]
    return sorted(turned)
""",
    },
}
