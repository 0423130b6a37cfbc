"""The usual wrong answers to each exercise: what is wrong → the code a student would write. Each must be refused."""

WRONG_ANSWERS = {
    "02-cost": {
        "forgets the six": """
def days(parameters, tokens, flops_per_second):
    return parameters * tokens / flops_per_second / (24 * 3600)
""",
        "gives hours": """
def days(parameters, tokens, flops_per_second):
    return 6 * parameters * tokens / flops_per_second / 3600
""",
        "gives seconds": """
def days(parameters, tokens, flops_per_second):
    return 6 * parameters * tokens / flops_per_second
""",
        "counts the forward pass only": """
def days(parameters, tokens, flops_per_second):
    return 2 * parameters * tokens / flops_per_second / 86400
""",
        "divides the wrong way": """
def days(parameters, tokens, flops_per_second):
    return flops_per_second / (6 * parameters * tokens) * 86400
""",
        "prints instead of returning": """
def days(parameters, tokens, flops_per_second):
    print(6 * parameters * tokens / flops_per_second / 86400)
""",
    },
    "02-rule": {
        "hides all that is chosen": """
def hide(input_ids, chosen, chance, random_ids, mask_id):
    return torch.where(chosen, mask_id, input_ids)
""",
        "hides tokens that are not chosen": """
def hide(input_ids, chosen, chance, random_ids, mask_id):
    seen = torch.where(chance < 0.8, mask_id, input_ids)
    return torch.where((chance >= 0.8) & (chance < 0.9), random_ids, seen)
""",
        "keeps none": """
def hide(input_ids, chosen, chance, random_ids, mask_id):
    seen = torch.where(chosen & (chance < 0.8), mask_id, input_ids)
    return torch.where(chosen & (chance >= 0.8), random_ids, seen)
""",
        "exchanges none": """
def hide(input_ids, chosen, chance, random_ids, mask_id):
    return torch.where(chosen & (chance < 0.9), mask_id, input_ids)
""",
        "swaps the two tenths": """
def hide(input_ids, chosen, chance, random_ids, mask_id):
    seen = torch.where(chosen & (chance < 0.8), mask_id, input_ids)
    return torch.where(chosen & (chance >= 0.9), random_ids, seen)
""",
        "changes input_ids": """
def hide(input_ids, chosen, chance, random_ids, mask_id):
    input_ids[chosen & (chance < 0.8)] = mask_id
    other = chosen & (chance >= 0.8) & (chance < 0.9)
    input_ids[other] = random_ids[other]
    return input_ids
""",
        "takes single texts only": """
def hide(input_ids, chosen, chance, random_ids, mask_id):
    seen = []
    for token, is_chosen, c, other in zip(*(t.flatten().tolist() for t in (input_ids, chosen, chance, random_ids))):
        seen.append(token if not is_chosen or c >= 0.9 else mask_id if c < 0.8 else other)
    return torch.tensor(seen)
""",
    },
    "02-causal": {
        "gives each place its own token": """
def causal_labels(input_ids, pad_id):
    return input_ids.masked_fill(input_ids == pad_id, -100)
""",
        "moves the wrong way": """
def causal_labels(input_ids, pad_id):
    labels = torch.full_like(input_ids, -100)
    labels[:, 1:] = input_ids[:, :-1]
    return labels.masked_fill(labels == pad_id, -100)
""",
        "asks for the first token after the last": """
def causal_labels(input_ids, pad_id):
    labels = input_ids.roll(-1, dims=1)
    return labels.masked_fill(labels == pad_id, -100)
""",
        "asks for padding": """
def causal_labels(input_ids, pad_id):
    labels = torch.full_like(input_ids, -100)
    labels[:, :-1] = input_ids[:, 1:]
    return labels
""",
        "is a place short": """
def causal_labels(input_ids, pad_id):
    labels = input_ids[:, 1:]
    return labels.masked_fill(labels == pad_id, -100)
""",
        "takes padding to be 0": """
def causal_labels(input_ids, pad_id):
    labels = torch.full_like(input_ids, -100)
    labels[:, :-1] = input_ids[:, 1:]
    return labels.masked_fill(labels == 0, -100)
""",
        "changes input_ids": """
def causal_labels(input_ids, pad_id):
    input_ids[:, :-1] = input_ids[:, 1:].clone()
    input_ids[:, -1] = -100
    return input_ids.masked_fill(input_ids == pad_id, -100)
""",
    },
    "02-gap": {
        "has no gap": 'gap, word, other = "this is based on a true story .", "story", "thank [MASK] for this film ."',
        "is a word, no sentence": 'gap, word, other = "true [MASK] .", "movie", "thank [MASK] for this film ."',
        "is not what the model says": """
gap, word, other = "based on a true [MASK] .", "crime", "thank [MASK] for this film ."
""",
        "is what it says to everything": """
gap, word, other = "this is a very long [MASK] .", "movie", "this is a very short [MASK] ."
""",
        "hands in the gap twice": """
gap, word = "based on a true [MASK] .", "story"
other = gap
""",
    },
}
