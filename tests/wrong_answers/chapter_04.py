"""The usual wrong answers to each exercise: what is wrong → the code a student would write. Each must be refused."""

WRONG_ANSWERS = {
    "04-pad": {
        "takes ids that equal pad_id for padding": """
def pad(lists, pad_id=0):
    longest = max(map(len, lists))
    input_ids = torch.tensor([ids + [pad_id] * (longest - len(ids)) for ids in lists])
    return input_ids, (input_ids != pad_id).long()
""",
        "fills up on the left": """
def pad(lists, pad_id=0):
    longest = max(map(len, lists))
    input_ids = [[pad_id] * (longest - len(ids)) + ids for ids in lists]
    mask = [[0] * (longest - len(ids)) + [1] * len(ids) for ids in lists]
    return torch.tensor(input_ids), torch.tensor(mask)
""",
        "cuts to the shortest": """
def pad(lists, pad_id=0):
    shortest = min(map(len, lists))
    input_ids = torch.tensor([ids[:shortest] for ids in lists])
    return input_ids, torch.ones_like(input_ids)
""",
        "always fills up to 512": """
def pad(lists, pad_id=0):
    input_ids = [ids + [pad_id] * (512 - len(ids)) for ids in lists]
    mask = [[1] * len(ids) + [0] * (512 - len(ids)) for ids in lists]
    return torch.tensor(input_ids), torch.tensor(mask)
""",
        "ignores pad_id": """
def pad(lists, pad_id=0):
    longest = max(map(len, lists))
    input_ids = [ids + [0] * (longest - len(ids)) for ids in lists]
    mask = [[1] * len(ids) + [0] * (longest - len(ids)) for ids in lists]
    return torch.tensor(input_ids), torch.tensor(mask)
""",
        "has the mask the wrong way round": """
def pad(lists, pad_id=0):
    longest = max(map(len, lists))
    input_ids = [ids + [pad_id] * (longest - len(ids)) for ids in lists]
    mask = [[0] * len(ids) + [1] * (longest - len(ids)) for ids in lists]
    return torch.tensor(input_ids), torch.tensor(mask)
""",
        "forgets the mask": """
def pad(lists, pad_id=0):
    longest = max(map(len, lists))
    return torch.tensor([ids + [pad_id] * (longest - len(ids)) for ids in lists])
""",
        "returns lists": """
def pad(lists, pad_id=0):
    longest = max(map(len, lists))
    input_ids = [ids + [pad_id] * (longest - len(ids)) for ids in lists]
    return input_ids, [[1] * len(ids) + [0] * (longest - len(ids)) for ids in lists]
""",
        "lengthens the lists that it was given": """
def pad(lists, pad_id=0):
    longest = max(map(len, lists))
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids in lists])
    for ids in lists:
        ids += [pad_id] * (longest - len(ids))
    return torch.tensor(lists), mask
""",
        "makes floats": """
def pad(lists, pad_id=0):
    input_ids = torch.full((len(lists), max(map(len, lists))), float(pad_id))
    mask = torch.zeros_like(input_ids)
    for row, ids in enumerate(lists):
        input_ids[row, : len(ids)] = torch.tensor(ids)
        mask[row, : len(ids)] = 1
    return input_ids, mask
""",
    },
    "04-windows": {
        "forgets that [CLS] and [SEP] take room": """
def windows(ids, size, overlap):
    step = size - overlap
    return [[101, *ids[i : i + size], 102] for i in range(0, max(1, len(ids) - overlap), step)]
""",
        "forgets [CLS] and [SEP]": """
def windows(ids, size, overlap):
    step = size - 2 - overlap
    return [ids[i : i + size - 2] for i in range(0, max(1, len(ids) - overlap), step)]
""",
        "does not overlap": """
def windows(ids, size, overlap):
    room = size - 2
    return [[101, *ids[i : i + room], 102] for i in range(0, max(1, len(ids)), room)]
""",
        "drops a last window that is not full": """
def windows(ids, size, overlap):
    room = size - 2
    return [[101, *ids[i : i + room], 102] for i in range(0, len(ids) - room, room - overlap)]
""",
        "adds a window that repeats the end of the last": """
def windows(ids, size, overlap):
    room = size - 2
    return [[101, *ids[i : i + room], 102] for i in range(0, max(1, len(ids)), room - overlap)]
""",
        "gives nothing for the empty text": """
def windows(ids, size, overlap):
    room = size - 2
    return [[101, *ids[i : i + room], 102] for i in range(0, len(ids) - overlap, room - overlap)]
""",
        "moves the last window back until it is full": """
def windows(ids, size, overlap):
    room = size - 2
    starts = [min(i, max(0, len(ids) - room)) for i in range(0, max(1, len(ids) - overlap), room - overlap)]
    return [[101, *ids[i : i + room], 102] for i in starts]
""",
        "truncates": """
def windows(ids, size, overlap):
    return [[101, *ids[: size - 2], 102]]
""",
        "puts [CLS] before the first and [SEP] after the last only": """
def windows(ids, size, overlap):
    ids = [101, *ids, 102]
    return [ids[i : i + size] for i in range(0, max(1, len(ids) - overlap), size - overlap)]
""",
    },
    "04-nearest": {
        "does not divide by the lengths": """
def nearest(query, vectors, k):
    return (vectors @ query).argsort(descending=True)[:k].tolist()
""",
        "divides by the query's length only": """
def nearest(query, vectors, k):
    return (vectors @ query / query.norm()).argsort(descending=True)[:k].tolist()
""",
        "takes the distance of the points": """
def nearest(query, vectors, k):
    return (vectors - query).norm(dim=-1).argsort()[:k].tolist()
""",
        "gives the farthest": """
def nearest(query, vectors, k):
    return torch.nn.functional.cosine_similarity(query[None], vectors).argsort()[:k].tolist()
""",
        "ignores the sign": """
def nearest(query, vectors, k):
    cosines = torch.nn.functional.cosine_similarity(query[None], vectors)
    return cosines.abs().argsort(descending=True)[:k].tolist()
""",
        "gives similarities": """
def nearest(query, vectors, k):
    cosines = torch.nn.functional.cosine_similarity(query[None], vectors)
    return cosines.sort(descending=True).values[:k].tolist()
""",
        "gives a tensor": """
def nearest(query, vectors, k):
    cosines = torch.nn.functional.cosine_similarity(query[None], vectors)
    return cosines.argsort(descending=True)[:k]
""",
        "leaves out the closest, as if it were the query itself": """
def nearest(query, vectors, k):
    cosines = torch.nn.functional.cosine_similarity(query[None], vectors)
    return cosines.argsort(descending=True)[1 : k + 1].tolist()
""",
        "gives all of them": """
def nearest(query, vectors, k):
    return torch.nn.functional.cosine_similarity(query[None], vectors).argsort(descending=True).tolist()
""",
        "gives the right ones in the order of their rows": """
def nearest(query, vectors, k):
    cosines = torch.nn.functional.cosine_similarity(query[None], vectors)
    return sorted(cosines.argsort(descending=True)[:k].tolist())
""",
    },
    "04-twins": {
        "the same text twice": 'twins = ("Monday again 😀",) * 2',
        "differ in case only": 'twins = ("Monday again, what a day", "MONDAY again, what a day")',
        "differ in an accent only": 'twins = ("Monday again, what a day", "Mondáy again, what a day")',
        "differ in spaces only": 'twins = ("Monday again, what a day", "Monday  again , what a day")',
        "nothing but unknown tokens": 'twins = ("😀 😀 😀 😀", "😭 😭 😭 😭")',
        "ids differ": 'twins = ("Monday again, what a good day", "Monday again, what a bad day")',
        "one emoji more": 'twins = ("Monday again, what a day 😀", "Monday again, what a day 😭 😭")',
        "smileys in characters that the vocabulary has": 'twins = ("what a day :)", "what a day :(")',
    },
}
