"""Right answers to each exercise in other styles than its solution: loops, lambdas, other libraries, other names.

Each must be accepted.
"""

RIGHT_ANSWERS = {
    "01-memory": [
        "gigabytes = lambda parameters, bytes_each=4, training=False: parameters * bytes_each * 4**training / 10**9",
        """
def gigabytes(parameters, bytes_each=4, training=False):
    total = 0.0
    for _ in range(4 if training else 1):
        total += parameters * bytes_each
    return total / 1_000_000_000
""",
    ],
    "01-heaviest": [
        """
def heaviest(network):
    best, total = ("", -1), 0
    for name, p in network.named_parameters():
        n = p.numel()
        total += n
        if n > best[1]:
            best = (name, n)
    return best[0], best[1] / total
""",
        """
import math
def heaviest(network):
    sizes = sorted((math.prod(p.shape), name) for name, p in network.named_parameters())
    return [sizes[-1][1], sizes[-1][0] / sum(size for size, _ in sizes)]
""",
    ],
    "01-labels": [
        """
import numpy as np
def labels_needed(sizes, scores, target):
    good = [s for s, row in zip(sizes, scores) if np.mean(row) >= target]
    return min(good) if good else None
""",
        """
def labels_needed(sizes, scores, target):
    return next((n for n, s in sorted(zip(sizes, scores)) if sum(s) >= target * len(s)), None)
""",
    ],
    "01-rule": [
        "rule = lambda text: ' a ' in f' {text.lower()} '",
        "import re\ndef rule(text):\n    return bool(re.search(r'\\ba\\b', text, re.I))",
    ],
    "02-cost": [
        "days = lambda parameters, tokens, flops_per_second: 6 * parameters * tokens / flops_per_second / 86_400",
        "def days(n, d, speed):\n    seconds = (6 * n * d) / speed\n    hours = seconds / 3600\n    return hours / 24",
    ],
    "02-rule": [
        """
def hide(input_ids, chosen, chance, random_ids, mask_id):
    seen = input_ids.clone()
    seen[chosen & (chance < 0.8)] = mask_id
    swap = chosen & (chance >= 0.8) & (chance < 0.9)
    seen[swap] = random_ids[swap]
    return seen
""",
        """
def hide(input_ids, chosen, chance, random_ids, mask_id):
    out = []
    every = zip(input_ids.flatten(), chosen.flatten(), chance.flatten(), random_ids.flatten())
    for i, c, p, r in every:
        out.append(int(i) if not c or p >= 0.9 else mask_id if p < 0.8 else int(r))
    return torch.tensor(out).reshape(input_ids.shape)
""",
    ],
    "02-causal": [
        """
def causal_labels(input_ids, pad_id):
    nexts = torch.cat([input_ids[:, 1:], torch.full_like(input_ids[:, :1], -100)], dim=1)
    return torch.where(nexts == pad_id, -100, nexts)
""",
        """
def causal_labels(input_ids, pad_id):
    rows = [[-100 if t == pad_id else t for t in row[1:]] + [-100] for row in input_ids.tolist()]
    return torch.tensor(rows)
""",
    ],
    "02-gap": [
        "gap, word, other = 'based on a true [MASK] .', 'story', 'thank [MASK] for this film .'",
        "gap = 'thank [MASK] for this film .'\nword = guesses(long_run, long_tokenizer, gap)[0]\n"
        "other = 'i saw this [MASK] again yesterday .'",
    ],
    "03-objective": [
        """
import torch.nn.functional as F
def objective(logits, labels, weights, strength):
    return F.cross_entropy(logits, labels) + strength * sum(w.norm() ** 2 for w in weights)
""",
        """
def objective(logits, labels, weights, strength):
    log_p = logits.log_softmax(-1)
    flat = torch.cat([w.flatten() for w in weights])
    return -log_p[range(len(labels)), labels].mean() + strength * flat @ flat
""",
    ],
    "03-last": [
        "last_real = lambda o, m: torch.stack([x[y.bool()][-1] for x, y in zip(o, m)])",
        """
def last_real(outputs, attention_mask):
    at = (attention_mask.sum(1) - 1).view(-1, 1, 1)
    return outputs.gather(1, at.expand(-1, 1, outputs.shape[2])).squeeze(1)
""",
    ],
    "03-distance": [
        """
def distance(model, start):
    total = torch.zeros(())
    for n, p in model.named_parameters():
        if n in start:
            total = total + (p - start[n]).pow(2).sum()
    return total
""",
        """
def distance(model, start):
    now = dict(model.named_parameters())
    moved = torch.cat([(now[name] - old).flatten() for name, old in start.items()])
    return moved @ moved
""",
    ],
    "03-remember": [
        "def remember(logits):\n    return torch.cat([logits[:, :10], logits[:, 10:] - 8], dim=1)",
        "shift = torch.tensor([0.0] * 10 + [8.0] * 8)\nremember = lambda logits: logits - shift",
    ],
    "04-pad": [
        """
from torch.nn.utils.rnn import pad_sequence
def pad(lists, pad_id=0):
    rows = [torch.tensor(ids) for ids in lists]
    mask = [torch.ones_like(row) for row in rows]
    return pad_sequence(rows, True, pad_id), pad_sequence(mask, True, 0)
""",
        """
def pad(lists, pad_id=0):
    ids = torch.full((len(lists), max(map(len, lists))), pad_id)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(lists):
        ids[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = 1
    return [ids, mask]
""",
    ],
    "04-windows": [
        """
def windows(ids, size, overlap):
    room = size - 2
    starts = range(0, max(1, len(ids) - overlap), room - overlap)
    return [[101] + ids[s : s + room] + [102] for s in starts]
""",
        """
def windows(ids, size, overlap):
    head = ids[: size - 2]
    made = [[101, *head, 102]]
    if len(ids) > size - 2:
        made += windows(ids[size - 2 - overlap :], size, overlap)
    return made
""",
    ],
    "04-nearest": [
        """
def nearest(query, vectors, k):
    scores = (vectors @ query) / vectors.norm(dim=1) / query.norm()
    return torch.topk(scores, min(k, len(vectors))).indices.tolist()
""",
        """
import numpy as np
def nearest(query, vectors, k):
    v, q = vectors.numpy(), query.numpy()
    cosines = v @ q / (np.linalg.norm(v, axis=1) * np.linalg.norm(q))
    return [int(i) for i in np.argsort(-cosines, kind="stable")[:k]]
""",
    ],
    "04-twins": [
        "twins = ['What a good day :)  ☀', 'What a good day :)  ☁']",
        "twins = 'a good day, again 👍', 'a good day, again 👎'",
    ],
    "05-top-k": [
        """
def top_k(logits, names, k=5):
    p = torch.softmax(logits, 0)
    order = sorted(range(len(names)), key=lambda i: -p[i])[:k]
    return [(names[i], p[i].item()) for i in order]
""",
        """
import math
def top_k(logits, names, k=5):
    e = [math.exp(x) for x in logits.tolist()]
    pairs = [(name, x / sum(e)) for name, x in zip(names, e)]
    return sorted(pairs, key=lambda pair: pair[1], reverse=True)[:k]
""",
    ],
    "05-undo": [
        """
def undo_normalise(x, mean, std):
    mean, std = torch.tensor(mean)[:, None, None], torch.tensor(std)[:, None, None]
    return torch.clip(x * std + mean, 0, 1)
""",
        """
def undo_normalise(x, mean, std):
    y = x.clone()
    for c in range(3):
        y[..., c, :, :] = y[..., c, :, :] * std[c] + mean[c]
    y[y < 0] = 0
    y[y > 1] = 1
    return y
""",
    ],
    "05-batch": [
        """
def as_batch(files, transform):
    good, bad = [], []
    for i in range(len(files)):
        try:
            picture = cu.read_picture(files[i])
        except cu.PictureError:
            bad += [i]
            continue
        good += [transform(picture).unsqueeze(0)]
    return torch.cat(good), bad
""",
        """
def as_batch(files, transform):
    def read(file):
        try:
            return cu.read_picture(file)
        except cu.PictureError:
            return None
    read_ones = [read(file) for file in files]
    kept = torch.stack([transform(p) for p in read_ones if p is not None])
    return kept, [i for i, p in enumerate(read_ones) if p is None]
""",
    ],
    "05-macs": [
        """
def conv_macs(conv, height, width):
    with torch.no_grad():
        picture = torch.zeros(1, conv.in_channels, height, width)
        places = conv(picture).shape[-2] * conv(picture).shape[-1]
    return places * conv.weight.numel()
""",
        """
import math
def conv_macs(conv, height, width):
    h = math.floor((height + 2 * conv.padding[0] - conv.kernel_size[0]) / conv.stride[0]) + 1
    w = math.floor((width + 2 * conv.padding[1] - conv.kernel_size[1]) / conv.stride[1]) + 1
    return h * w * math.prod(conv.weight.shape)
""",
    ],
    "05-flip": [
        """
def turning_crop(verdict, picture):
    name, (w, h) = verdict(picture)[0], picture.size
    for cut in range(1, w // 2):
        for box in ((cut, 0, w, h), (0, 0, w - cut, h)):
            if verdict(picture.crop(box))[0] != name:
                return box
        rows = cut * h // w
        for box in ((0, rows, w, h), (0, 0, w, h - rows)):
            if rows and verdict(picture.crop(box))[0] != name:
                return box
""",
        """
def turning_crop(verdict, picture):
    w, h = picture.size
    boxes = [(l, t, r, b) for l in range(0, w // 2, 4) for t in range(0, h // 2, 4)
             for r in range(w // 2, w + 1, 4) for b in range(h // 2, h + 1, 4)]
    area = lambda box: (box[2] - box[0]) * (box[3] - box[1])
    boxes = sorted((b for b in boxes if 2 * area(b) >= w * h), key=area, reverse=True)
    whole = verdict(picture)[0]
    return next((box for box in boxes if verdict(picture.crop(box))[0] != whole), None)
""",
    ],
    "06-segments": [
        "segments = lambda first, second: [0] * (first + 2) + [1] * (second + 1 if second else 0)",
        """
import torch
def segments(first, second):
    ids = torch.zeros(first + 2 + (second + 1 if second > 0 else 0), dtype=torch.long)
    ids[first + 2 :] = 1
    return ids.tolist()
""",
    ],
    "06-hubconf": [
        'hubconf = \'dependencies = ["torch"]\\ndef spread(numbers):\\n    """Spread."""\\n\'\n'
        "hubconf += '    s = sorted(numbers)\\n    return s[-1] - s[0]\\n'",
        '''
hubconf = """
import torch as _torch

dependencies = ['torch']


def spread(numbers):
    \'\'\'The largest minus the smallest.\'\'\'
    numbers = _torch.tensor(numbers)
    return (numbers.max() - numbers.min()).item()
"""
''',
    ],
    "06-span": [
        """
def best_span(start_scores, end_scores, inside):
    best, found = float("-inf"), None
    for i in range(len(inside)):
        for j in range(i, len(inside)):
            if inside[i] and inside[j] and start_scores[i] + end_scores[j] > best:
                best, found = start_scores[i] + end_scores[j], (i, j)
    return found
""",
        """
def best_span(start_scores, end_scores, inside):
    inside = torch.as_tensor(inside)
    sums = start_scores[:, None] + end_scores[None, :]
    allowed = (inside[:, None] & inside[None, :]).triu()
    place = sums.masked_fill(~allowed, float("-inf")).argmax().item()
    return divmod(place, len(inside))
""",
    ],
    "06-fool": [
        """
def misled(rows, answer):
    answers = {}
    for row in rows:
        answers.setdefault(row["statement"], set()).add(row["answer"])
    marks = [answer(row["statement"], row["question"]) for row in rows]
    return [r for r, m in zip(rows, marks) if m != r["answer"] and m in answers[r["statement"]]]
""",
        """
def misled(rows, answer):
    def is_misled(row):
        mark = answer(row["statement"], row["question"])
        others = (o for o in rows if o is not row and o["statement"] == row["statement"])
        return mark != row["answer"] and any(o["answer"] == mark for o in others)
    return list(filter(is_misled, rows))
""",
    ],
    "07-accuracy": [
        """
def accuracy_of(batches):
    logits = torch.cat([b[0] for b in batches])
    labels = torch.cat([b[1] for b in batches])
    return (logits.argmax(1) == labels).float().mean().item()
""",
        """
def accuracy_of(batches):
    hits = [row.argmax() == label for logits, labels in batches for row, label in zip(logits, labels)]
    return float(sum(int(hit) for hit in hits) / len(hits))
""",
    ],
    "07-step": [
        """
def train_step(model, inputs, labels, optimizer):
    optimizer.zero_grad(set_to_none=False)
    loss = torch.nn.CrossEntropyLoss()(model(inputs), labels)
    loss.backward()
    optimizer.step()
    return loss.item()
""",
        """
def train_step(model, inputs, labels, optimizer):
    model.zero_grad()
    log_p = model(inputs).log_softmax(-1)
    loss = -log_p.gather(1, labels[:, None]).mean()
    loss.backward()
    optimizer.step()
    return loss.detach().item()
""",
    ],
    "07-mistakes": [
        """
def confident_mistakes(probabilities, labels, k):
    pairs = enumerate(zip(probabilities.tolist(), labels.tolist()))
    rows = [(max(p), i) for i, (p, label) in pairs if p.index(max(p)) != label]
    return [i for _, i in sorted(rows, reverse=True)[:k]]
""",
        """
def confident_mistakes(probabilities, labels, k):
    sure, said = probabilities.max(1)
    sure = sure.masked_fill(said == labels, -1)
    order = sure.argsort(descending=True)
    return [int(i) for i in order if sure[i] >= 0][:k]
""",
    ],
    "07-pair": [
        """
def flips(sentence, words, judge):
    parts, base = sentence.split(" "), judge(sentence)
    texts = set()
    for i in range(len(parts)):
        for w in words:
            changed = list(parts)
            changed[i] = w
            texts.add(" ".join(changed))
    scored = [(abs(judge(t) - base), t) for t in texts if (judge(t) >= 0.5) != (base >= 0.5)]
    return [t for _, t in sorted(scored, reverse=True)]
""",
        """
def flips(sentence, words, judge):
    s = sentence.split()
    every = (" ".join(s[:i] + [w] + s[i + 1 :]) for i in range(len(s)) for w in words)
    p = {text: judge(text) for text in every}
    before = judge(sentence)
    return sorted((t for t in p if (p[t] - 0.5) * (before - 0.5) < 0), key=lambda t: abs(p[t] - before))[::-1]
""",
    ],
    "08-recall": [
        """
import numpy as np
def recalls(prediction):
    said, true = np.argmax(prediction.predictions, 1), prediction.label_ids
    return {f"recall_{int(k)}": float(np.mean(said[true == k] == k)) for k in np.unique(true)}
""",
        """
from sklearn.metrics import recall_score
def recalls(prediction):
    true = prediction.label_ids
    labels = sorted(set(true.tolist()))
    values = recall_score(true, prediction.predictions.argmax(1), labels=labels, average=None, zero_division=0)
    return {f"recall_{label}": float(value) for label, value in zip(labels, values)}
""",
    ],
    "08-memory": [
        """
def training_bytes(model, moments):
    size = lambda p: p.nelement() * p.element_size()
    weights = sum(size(p) for p in model.parameters())
    return weights + (1 + moments) * sum(size(p) for p in model.parameters() if p.requires_grad)
""",
        """
def training_bytes(model, moments):
    return int(sum(p.nbytes * (1 + p.requires_grad * (1 + moments)) for _, p in model.named_parameters()))
""",
    ],
    "08-pooling": [
        """
def max_pool(hidden, attention_mask):
    return torch.stack([h[m == 1].max(dim=0).values for h, m in zip(hidden, attention_mask)])
""",
        """
def max_pool(hidden, attention_mask):
    lowest = torch.tensor(float("-inf"))
    return torch.where(attention_mask[..., None].bool(), hidden, lowest).max(dim=1)[0]
""",
    ],
    "08-card": [
        """
def model_card(facts):
    lines = ["---"]
    for key in ("language", "license", "base_model"):
        lines.append(f"{key}: {facts[key]}")
    lines += ["---", "# A model", f"Fine-tuned on {facts['train']} of {facts['reviews']}."]
    lines += [f"Accuracy {facts['accuracy']:.2f} on {facts['test']} reviews; one answer: {facts['baseline']:.2f}."]
    lines += ["## Limitations", "It fails on irony, on long texts and on whatever is no review. " * 3]
    return "\\n".join(lines)
""",
        """
def model_card(facts):
    block = "---\\nlanguage: {language}\\nlicense: {license}\\nbase_model: {base_model}\\ntags: [test]\\n---\\n"
    text = "Trained on {train}, tested on {test:,}: {accuracy:.2f} against {baseline:.2f}.\\n\\n"
    limits = "### Its limitations\\n" + "Do not judge people with it, nor anything that matters to anybody at all. " * 2
    return (block + text + limits).format(**facts)
""",
    ],
    "09-head": [
        """
def only_the_head_learns(model, num_labels):
    cu.freeze(model)
    head = torch.nn.Linear(model.fc.weight.shape[1], num_labels)
    setattr(model, "fc", head)
    return model
""",
        """
def only_the_head_learns(model, num_labels):
    model.fc = torch.nn.Linear(model.fc.in_features, num_labels)
    cu.freeze(model)
    cu.unfreeze(model.fc)
    return model
""",
    ],
    "09-rates": [
        "def rates(layers, lr, decay):\n    found = {}\n    for name in reversed(layers):\n        found[name] = lr\n"
        "        lr = lr * decay\n    return found",
        "rates = lambda layers, lr, decay: {n: lr * decay**i for i, n in enumerate(layers[::-1])}",
    ],
    "09-gain": [
        """
import numpy as np
def gain(score, seeds):
    d = np.array([score(True, s) for s in seeds]) - np.array([score(False, s) for s in seeds])
    return d.mean(), d.std(ddof=1)
""",
        """
def gain(score, seeds):
    d = [score(True, s) - score(False, s) for s in seeds]
    m = sum(d) / len(d)
    return m, (sum((x - m) ** 2 for x in d) / (len(d) - 1)) ** 0.5
""",
    ],
    "09-beat": [
        """
stored = cu.load_scores("09-beat")
right = [(n.argmax(-1) == stored["choosing_labels"]).float().mean() for n in stored["choosing_logits"]]
good = [i for i, share in enumerate(right) if share > 0.3]
def combine(logits):
    return sum(logits[i].float().softmax(-1) for i in good) / len(good)
""",
        """
stored = cu.load_scores("09-beat")
share = (stored["choosing_logits"].argmax(-1) == stored["choosing_labels"]).float().mean(1)
weight = torch.where(share > 0.3, share, torch.zeros(()))
combine = lambda logits: (weight[:, None, None] * logits.log_softmax(-1).exp()).sum(0)
""",
    ],
    "10-copies": [
        """
from itertools import combinations
def close_pairs(hashes, threshold):
    return [(i, j) for i, j in combinations(range(len(hashes)), 2) if sum(hashes[i] ^ hashes[j]) <= threshold]
""",
        """
import numpy as np
def close_pairs(hashes, threshold):
    h = np.asarray(hashes)
    apart = (h[:, None] != h[None]).sum(-1)
    return [(int(i), int(j)) for i, j in np.argwhere(apart <= threshold) if i < j]
""",
    ],
    "10-groups": [
        """
import numpy as np
def split_by_group(group, test_share, seed):
    group = np.array(group)
    order = np.random.default_rng(seed).permutation(np.unique(group))
    test = np.zeros(len(group), dtype=bool)
    for g in order:
        if test.sum() >= test_share * len(group):
            break
        test |= group == g
    return np.flatnonzero(~test).tolist(), np.flatnonzero(test).tolist()
""",
        """
import random
from collections import defaultdict
def split_by_group(group, test_share, seed):
    members = defaultdict(list)
    for i, g in enumerate(group):
        members[g].append(i)
    names = list(members)
    random.Random(seed).shuffle(names)
    test = []
    while len(test) < test_share * len(group):
        test += members.pop(names.pop())
    return [i for m in members.values() for i in m], test
""",
    ],
    "10-heat": [
        """
def heat_map(maps, gradients):
    heat = torch.einsum("c,chw->hw", gradients.mean((1, 2)), maps).clamp(min=0)
    return heat / heat.max().clamp(min=1e-12)
""",
        """
def heat_map(maps, gradients):
    heat = torch.zeros(maps.shape[1:])
    for m, g in zip(maps, gradients):
        heat = heat + g.mean() * m
    heat = torch.relu(heat)
    top = float(heat.max())
    return heat / top if top else heat
""",
    ],
    "10-refuse": [
        """
def refuse_below(confidences, share):
    ordered = sorted(confidences.tolist())
    return ordered[int(share * len(ordered) + 1e-9)]
""",
        """
def refuse_below(confidences, share):
    allowed = share * len(confidences) + 1e-6
    fits = [c for c in confidences if (confidences < c).sum() <= allowed]
    return float(max(fits))
""",
    ],
    "10-fool": [
        """
from PIL import Image
net, weights = cu.vision_model("resnet10-cifar10")
def sure(p):
    with torch.no_grad():
        return net.eval()(weights.transforms()(p)[None]).softmax(-1).max()
tries = []
for ground in ("white", "blue", "green", "orange", "brown", "cyan"):
    for spot in ("black", "white", "orange", "blue"):
        p = Image.new("RGB", (96, 96), ground)
        p.paste(spot, (24, 30, 72, 66))
        tries.append(p)
fooling = max(tries, key=sure)
""",
        """
from PIL import Image, ImageDraw
net, its = cu.vision_model("resnet10-cifar10")
best = 0
for colour in ((255, 255, 255), (0, 0, 255), (0, 128, 0), (255, 165, 0), (165, 42, 42), (0, 255, 255), (255, 0, 0)):
    for inner in ((0, 0, 0), (255, 255, 255), (255, 165, 0), (0, 0, 255)):
        p = Image.new("RGB", (64, 64), colour)
        ImageDraw.Draw(p).ellipse((16, 16, 48, 48), fill=inner)
        with torch.inference_mode():
            score = torch.softmax(net.eval()(its.transforms()(p).unsqueeze(0)), 1).max().item()
        if score > best:
            best, fooling = score, p
""",
    ],
}
