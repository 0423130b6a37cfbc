"""The usual wrong answers to each exercise: what is wrong → the code a student would write. Each must be refused."""

WRONG_ANSWERS = {
    "05-top-k": {
        "gives logits": """
def top_k(logits, names, k=5):
    top = logits.topk(min(k, len(names)))
    return [(names[i], p) for p, i in zip(top.values.tolist(), top.indices.tolist())]
""",
        "takes the softmax of the chosen ones only": """
def top_k(logits, names, k=5):
    top = logits.topk(min(k, len(names)))
    return [(names[i], p) for p, i in zip(top.values.softmax(dim=-1).tolist(), top.indices.tolist())]
""",
        "gives the least probable": """
def top_k(logits, names, k=5):
    p = logits.softmax(dim=-1)
    return [(names[i], p[i].item()) for i in p.argsort()[:k].tolist()]
""",
        "gives numbers instead of names": """
def top_k(logits, names, k=5):
    top = logits.softmax(dim=-1).topk(k)
    return list(zip(top.indices.tolist(), top.values.tolist()))
""",
        "gives tensors": """
def top_k(logits, names, k=5):
    top = logits.softmax(dim=-1).topk(k)
    return [(names[i], p) for p, i in zip(top.values, top.indices)]
""",
        "gives the names only": """
def top_k(logits, names, k=5):
    return [names[i] for i in logits.topk(k).indices.tolist()]
""",
        "leaves the names in their own order": """
def top_k(logits, names, k=5):
    return list(zip(names, logits.softmax(dim=-1).topk(min(k, len(names))).values.tolist()))
""",
        "prints instead of returning": """
def top_k(logits, names, k=5):
    top = logits.softmax(dim=-1).topk(k)
    print([(names[i], p) for p, i in zip(top.values.tolist(), top.indices.tolist())])
""",
    },
    "05-undo": {
        "the other way round": """
def undo_normalise(x, mean, std):
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (mean, std))
    return ((x + mean) * std).clamp(0, 1)
""",
        "normalises again": """
def undo_normalise(x, mean, std):
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (mean, std))
    return ((x - mean) / std).clamp(0, 1)
""",
        "along the width instead of the channels": """
def undo_normalise(x, mean, std):
    return (x * torch.tensor(std) + torch.tensor(mean)).clamp(0, 1)
""",
        "does not cut off": """
def undo_normalise(x, mean, std):
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (mean, std))
    return x * std + mean
""",
        "stretches instead of cutting off": """
def undo_normalise(x, mean, std):
    return (x - x.min()) / (x.max() - x.min())
""",
        "works in place": """
def undo_normalise(x, mean, std):
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (mean, std))
    return x.mul_(std).add_(mean).clamp_(0, 1)
""",
        "one picture only": """
def undo_normalise(x, mean, std):
    return torch.stack([x[c] * std[c] + mean[c] for c in range(3) if c < len(x)]).clamp(0, 1)
""",
    },
    "05-batch": {
        "reads with convert": """
def as_batch(files, transform):
    import io
    from PIL import Image
    tensors, refused = [], []
    for i, file in enumerate(files):
        try:
            tensors.append(transform(Image.open(io.BytesIO(file)).convert("RGB")))
        except OSError:
            refused.append(i)
    return torch.stack(tensors), refused
""",
        "counts positions among the accepted": """
def as_batch(files, transform):
    tensors, refused = [], []
    for file in files:
        try:
            tensors.append(transform(cu.read_picture(file)))
        except cu.PictureError:
            refused.append(len(tensors))
    return torch.stack(tensors), refused
""",
        "gives a list": """
def as_batch(files, transform):
    tensors, refused = [], []
    for i, file in enumerate(files):
        try:
            tensors.append(transform(cu.read_picture(file)))
        except cu.PictureError:
            refused.append(i)
    return tensors, refused
""",
        "catches everything": """
def as_batch(files, transform):
    tensors, refused = [], []
    for i, file in enumerate(files):
        try:
            tensors.append(transform(cu.read_picture(file)))
        except Exception:
            refused.append(i)
    return torch.stack(tensors) if tensors else torch.empty(0), refused
""",
        "gives the batch only": """
def as_batch(files, transform):
    tensors = []
    for file in files:
        try:
            tensors.append(transform(cu.read_picture(file)))
        except cu.PictureError:
            pass
    return torch.stack(tensors)
""",
        "gives the positions of the accepted": """
def as_batch(files, transform):
    tensors, accepted = [], []
    for i, file in enumerate(files):
        try:
            tensors.append(transform(cu.read_picture(file)))
            accepted.append(i)
        except cu.PictureError:
            pass
    return torch.stack(tensors), accepted
""",
    },
    "05-macs": {
        "counts the weights": """
def conv_macs(conv, height, width):
    return conv.weight.numel()
""",
        "counts operations, two for each": """
def conv_macs(conv, height, width):
    h, w = ((n + 2 * conv.padding[i] - conv.kernel_size[i]) // conv.stride[i] + 1 for i, n in ((0, height), (1, width)))
    return 2 * h * w * conv.weight.numel()
""",
        "forgets the stride": """
def conv_macs(conv, height, width):
    h, w = (s + 2 * conv.padding[a] - conv.kernel_size[a] + 1 for a, s in enumerate((height, width)))
    return h * w * conv.weight.numel()
""",
        "forgets the padding": """
def conv_macs(conv, height, width):
    h, w = ((s - conv.kernel_size[a]) // conv.stride[a] + 1 for a, s in enumerate((height, width)))
    return h * w * conv.weight.numel()
""",
        "forgets what the window loses": """
def conv_macs(conv, height, width):
    return (height // conv.stride[0]) * (width // conv.stride[1]) * conv.weight.numel()
""",
        "forgets the groups": """
def conv_macs(conv, height, width):
    h, w = ((n + 2 * conv.padding[i] - conv.kernel_size[i]) // conv.stride[i] + 1 for i, n in ((0, height), (1, width)))
    return h * w * conv.out_channels * conv.in_channels * conv.kernel_size[0] * conv.kernel_size[1]
""",
        "takes every kernel for a square": """
def conv_macs(conv, height, width):
    k, s, p = conv.kernel_size[0], conv.stride[0], conv.padding[0]
    h, w = ((size + 2 * p - k) // s + 1 for size in (height, width))
    return h * w * conv.out_channels * (conv.in_channels // conv.groups) * k * k
""",
        "gives a float": """
def conv_macs(conv, height, width):
    h, w = ((n + 2 * conv.padding[i] - conv.kernel_size[i]) // conv.stride[i] + 1 for i, n in ((0, height), (1, width)))
    return float(h * w * conv.weight.numel())
""",
    },
    "05-flip": {
        "the whole picture": """
def turning_crop(verdict, picture):
    return (0, 0, *picture.size)
""",
        "too little is left": """
def turning_crop(verdict, picture):
    w, h = picture.size
    boxes = [(0, 0, w // 2, h // 2), (w // 2, h // 2, w, h)]
    return next((b for b in boxes if verdict(picture.crop(b))[0] != verdict(picture)[0]), None)
""",
        "looks in the middle only": """
def turning_crop(verdict, picture):
    w, h = picture.size
    for cut in range(1, min(w, h) // 7):
        box = cut, cut, w - cut, h - cut
        if verdict(picture.crop(box))[0] != verdict(picture)[0]:
            return box
""",
        "cuts at the right and at the bottom only": """
def turning_crop(verdict, picture):
    w, h = picture.size
    for cut in range(1, min(w, h) // 4):
        box = 0, 0, w - cut, h - cut
        if verdict(picture.crop(box))[0] != verdict(picture)[0]:
            return box
""",
        "begins with the smallest": """
def turning_crop(verdict, picture):
    w, h = picture.size
    for keep in range(52, 100):
        for left in (0, w - w * keep // 100):
            box = left, 0, left + w * keep // 100, h
            if verdict(picture.crop(box))[0] != verdict(picture)[0]:
                return box
        for top in (0, h - h * keep // 100):
            box = 0, top, w, top + h * keep // 100
            if verdict(picture.crop(box))[0] != verdict(picture)[0]:
                return box
""",
        "compares the confidence, not the name": """
def turning_crop(verdict, picture):
    w, h = picture.size
    boxes = [(0, 0, w - 8, h), (8, 0, w, h), (0, 0, w, h - 8), (0, 8, w, h)]
    return next((b for b in boxes if verdict(picture.crop(b))[1] != verdict(picture)[1]), None)
""",
        "gives a box whatever the verdict": """
def turning_crop(verdict, picture):
    w, h = picture.size
    return 0, 0, w - 8, h
""",
        "never says that there is none": """
def turning_crop(verdict, picture):
    w, h = picture.size
    boxes = [(0, 0, w - 10, h), (10, 0, w, h), (0, 0, w, h - 10), (0, 10, w, h)]
    return max(boxes, key=lambda b: verdict(picture.crop(b))[0] != verdict(picture)[0])
""",
        "outside of the picture": """
def turning_crop(verdict, picture):
    w, h = picture.size
    boxes = [(-10, 0, w - 10, h), (10, 0, w + 10, h)]
    return next((b for b in boxes if verdict(picture.crop(b))[0] != verdict(picture)[0]), None)
""",
    },
}
