"""The usual wrong answers to each exercise: what is wrong → the code a student would write. Each must be refused."""

WRONG_ANSWERS = {
    "10-copies": {
        "less than the threshold": """
def close_pairs(hashes, threshold):
    n = len(hashes)
    return [(i, j) for i in range(n) for j in range(i + 1, n) if (hashes[i] != hashes[j]).sum() < threshold]
""",
        "each pair twice": """
def close_pairs(hashes, threshold):
    n = len(hashes)
    return [(i, j) for i in range(n) for j in range(n) if i != j and (hashes[i] != hashes[j]).sum() <= threshold]
""",
        "a picture is a copy of itself": """
def close_pairs(hashes, threshold):
    n = len(hashes)
    return [(i, j) for i in range(n) for j in range(i, n) if (hashes[i] != hashes[j]).sum() <= threshold]
""",
        "counts the bits that are equal": """
def close_pairs(hashes, threshold):
    n = len(hashes)
    return [(i, j) for i in range(n) for j in range(i + 1, n) if (hashes[i] == hashes[j]).sum() <= threshold]
""",
        "compares how many bits are set": """
def close_pairs(hashes, threshold):
    n = len(hashes)
    ones = hashes.sum(axis=1)
    return [(i, j) for i in range(n) for j in range(i + 1, n) if abs(ones[i] - ones[j]) <= threshold - 1]
""",
        "leaves out exact copies": """
def close_pairs(hashes, threshold):
    n = len(hashes)
    return [(i, j) for i in range(n) for j in range(i + 1, n) if 0 < (hashes[i] != hashes[j]).sum() <= threshold]
""",
        "returns nothing": """
def close_pairs(hashes, threshold):
    n = len(hashes)
    print([(i, j) for i in range(n) for j in range(i + 1, n) if (hashes[i] != hashes[j]).sum() <= threshold])
""",
    },
    "10-groups": {
        "splits pictures, not groups": """
import random
def split_by_group(group, test_share, seed):
    order = list(range(len(group)))
    random.Random(seed).shuffle(order)
    cut = int(test_share * len(group))
    return order[cut:], order[:cut]
""",
        "takes a share of the groups instead of the pictures": """
import random
def split_by_group(group, test_share, seed):
    order = sorted(set(group))
    random.Random(seed).shuffle(order)
    chosen = set(order[:round(test_share * len(order))])
    return [i for i, g in enumerate(group) if g not in chosen], [i for i, g in enumerate(group) if g in chosen]
""",
        "drops what has a copy in training": """
import random
def split_by_group(group, test_share, seed):
    order = list(range(len(group)))
    random.Random(seed).shuffle(order)
    cut = int(test_share * len(group))
    known = {group[i] for i in order[cut:]}
    return order[cut:], [i for i in order[:cut] if group[i] not in known]
""",
        "ignores the seed": """
import random
def split_by_group(group, test_share, seed):
    order = sorted(set(group))
    random.Random(0).shuffle(order)
    chosen, size = set(), 0
    for g in order:
        if size >= test_share * len(group):
            break
        chosen.add(g)
        size += group.count(g)
    return [i for i, g in enumerate(group) if g not in chosen], [i for i, g in enumerate(group) if g in chosen]
""",
        "returns groups instead of indices": """
import random
def split_by_group(group, test_share, seed):
    order = sorted(set(group))
    random.Random(seed).shuffle(order)
    cut = int(test_share * len(order))
    return order[cut:], order[:cut]
""",
        "goes on far beyond the share": """
import random
def split_by_group(group, test_share, seed):
    order = sorted(set(group))
    random.Random(seed).shuffle(order)
    chosen = set(order[:len(order) // 2])
    return [i for i, g in enumerate(group) if g not in chosen], [i for i, g in enumerate(group) if g in chosen]
""",
    },
    "10-heat": {
        "weighs by the gradient of each place": """
def heat_map(maps, gradients):
    heat = (gradients * maps).sum(dim=0).relu()
    return heat / heat.max() if heat.max() > 0 else heat
""",
        "forgets the gradients": """
def heat_map(maps, gradients):
    heat = maps.sum(dim=0).relu()
    return heat / heat.max() if heat.max() > 0 else heat
""",
        "takes the absolute value": """
def heat_map(maps, gradients):
    heat = (gradients.mean(dim=(1, 2), keepdim=True) * maps).sum(dim=0).abs()
    return heat / heat.max() if heat.max() > 0 else heat
""",
        "drops negative channels before adding up": """
def heat_map(maps, gradients):
    heat = (gradients.mean(dim=(1, 2), keepdim=True) * maps).relu().sum(dim=0)
    return heat / heat.max() if heat.max() > 0 else heat
""",
        "divides by zero": """
def heat_map(maps, gradients):
    heat = (gradients.mean(dim=(1, 2), keepdim=True) * maps).sum(dim=0).relu()
    return heat / heat.max()
""",
        "does not scale": """
def heat_map(maps, gradients):
    return (gradients.mean(dim=(1, 2), keepdim=True) * maps).sum(dim=0).relu()
""",
        "keeps the channels": """
def heat_map(maps, gradients):
    heat = (gradients.mean(dim=(1, 2), keepdim=True) * maps).relu()
    return heat / heat.max()
""",
    },
    "10-refuse": {
        "refuses one too few": """
def refuse_below(confidences, share):
    return confidences.sort().values[max(int(share * len(confidences)) - 1, 0)].item()
""",
        "refuses one too many": """
def refuse_below(confidences, share):
    return confidences.sort().values[int(share * len(confidences)) + 1].item()
""",
        "sorts the wrong way round": """
def refuse_below(confidences, share):
    return confidences.sort(descending=True).values[int(share * len(confidences))].item()
""",
        "takes the share itself as threshold": """
def refuse_below(confidences, share):
    return float(share)
""",
        "a quantile between two confidences": """
def refuse_below(confidences, share):
    return confidences.quantile(share).item()
""",
        "returns a tensor": """
def refuse_below(confidences, share):
    return confidences.sort().values[int(share * len(confidences))]
""",
        "rounds up": """
import math
def refuse_below(confidences, share):
    return confidences.sort().values[math.ceil(share * len(confidences) - 1e-9)].item()
""",
    },
    "10-fool": {
        "too many colours": """
from PIL import Image
fooling = Image.linear_gradient("L").convert("RGB")
""",
        "greyscale": """
from PIL import Image
fooling = Image.new("L", (96, 96))
""",
        "too small": """
from PIL import Image
fooling = Image.new("RGB", (16, 16))
""",
        "the network is not sure": """
from PIL import Image
fooling = Image.new("RGB", (96, 96), "grey")
""",
        "an array": """
import numpy as np
fooling = np.zeros((96, 96, 3), dtype=np.uint8)
""",
    },
}
