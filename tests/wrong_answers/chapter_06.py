"""The usual wrong answers to each exercise: what is wrong → the code a student would write. Each must be refused."""

WRONG_ANSWERS = {
    "06-segments": {
        "forgets the special tokens": """
def segments(first, second):
    return [0] * first + [1] * second
""",
        "gives the first [SEP] to the second text": """
def segments(first, second):
    return [0] * (first + 1) + [1] * (second + 2)
""",
        "calls the segments 1 and 2": """
def segments(first, second):
    return [1] * (first + 2) + [2] * (second + 1)
""",
        "gives a single text a second [SEP]": """
def segments(first, second):
    return [0] * (first + 2) + [1] * (second + 1)
""",
        "is right for one length": """
def segments(first, second):
    return [0] * 8 + [1] * 8
""",
        "marks special tokens by their own number": """
def segments(first, second):
    return [0] * (first + 1) + [2] + [1] * second + [2]
""",
    },
    "06-hubconf": {
        "forgets dependencies": """
hubconf = '''
def spread(numbers):
    "Largest minus smallest."
    return max(numbers) - min(numbers)
'''
""",
        "works while it is imported": """
hubconf = '''
dependencies = ["torch"]


def spread(numbers):
    "Largest minus smallest."
    return max(numbers) - min(numbers)


print(spread([1, 2]))
'''
""",
        "has no docstring": """
hubconf = '''
dependencies = ["torch"]


def spread(numbers):
    return max(numbers) - min(numbers)
'''
""",
        "offers its helper too": """
hubconf = '''
dependencies = ["torch"]


def largest(numbers):
    "The largest."
    return max(numbers)


def spread(numbers):
    "Largest minus smallest."
    return largest(numbers) - min(numbers)
'''
""",
        "is a function, not the text of a file": """
def hubconf(numbers):
    return max(numbers) - min(numbers)
""",
        "turns the difference round": """
hubconf = '''
dependencies = ["torch"]


def spread(numbers):
    "Largest minus smallest."
    return min(numbers) - max(numbers)
'''
""",
        "takes the first and the last": """
hubconf = '''
dependencies = ["torch"]


def spread(numbers):
    "Largest minus smallest."
    return numbers[0] - numbers[-1]
'''
""",
    },
    "06-span": {
        "takes both best places by themselves": """
def best_span(start_scores, end_scores, inside):
    start = start_scores.masked_fill(~inside, float("-inf")).argmax()
    end = end_scores.masked_fill(~inside, float("-inf")).argmax()
    return int(start), int(end)
""",
        "looks in the question too": """
def best_span(start_scores, end_scores, inside):
    scores = (start_scores[:, None] + end_scores).masked_fill(
        ~torch.ones(len(inside), len(inside), dtype=torch.bool).triu(), float("-inf"))
    return divmod(scores.argmax().item(), len(inside))
""",
        "takes the best start first": """
def best_span(start_scores, end_scores, inside):
    start = int(start_scores.masked_fill(~inside, float("-inf")).argmax())
    end = max(range(start, len(inside)), key=lambda i: float(end_scores[i]))
    return start, end
""",
        "leaves out spans of one token": """
def best_span(start_scores, end_scores, inside):
    places = [i for i, is_inside in enumerate(inside) if is_inside]
    spans = [(s, e) for s in places for e in places if s < e]
    return max(spans, key=lambda s: float(start_scores[s[0]] + end_scores[s[1]]))
""",
        "multiplies the scores": """
def best_span(start_scores, end_scores, inside):
    places = [i for i, is_inside in enumerate(inside) if is_inside]
    spans = [(s, e) for s in places for e in places if s <= e]
    return max(spans, key=lambda s: float(start_scores[s[0]] * end_scores[s[1]]))
""",
        "swaps the two scores": """
def best_span(start_scores, end_scores, inside):
    places = [i for i, is_inside in enumerate(inside) if is_inside]
    spans = [(s, e) for s in places for e in places if s <= e]
    return max(spans, key=lambda s: float(end_scores[s[0]] + start_scores[s[1]]))
""",
        "returns nothing": """
def best_span(start_scores, end_scores, inside):
    print(start_scores.argmax(), end_scores.argmax())
""",
    },
    "06-fool": {
        "gives all that are answered wrong": """
def misled(rows, answer):
    return [row for row in rows if answer(row["statement"], row["question"]) != row["answer"]]
""",
        "gives those that are answered right, too": """
def misled(rows, answer):
    found = []
    for row in rows:
        answers = [other["answer"] for other in rows if other["statement"] == row["statement"]]
        if answer(row["statement"], row["question"]) in answers:
            found.append(row)
    return found
""",
        "takes answers about any statement": """
def misled(rows, answer):
    answers = {row["answer"] for row in rows}
    marks = [answer(row["statement"], row["question"]) for row in rows]
    return [row for row, mark in zip(rows, marks) if mark != row["answer"] and mark in answers]
""",
        "takes a part of an answer for the answer": """
def misled(rows, answer):
    found = []
    for row in rows:
        mark = answer(row["statement"], row["question"])
        others = [r["answer"] for r in rows if r["statement"] == row["statement"] and r is not row]
        if mark != row["answer"] and any(mark in other for other in others):
            found.append(row)
    return found
""",
        "counts them": """
def misled(rows, answer):
    marks = [answer(row["statement"], row["question"]) for row in rows]
    return sum(mark != row["answer"] for row, mark in zip(rows, marks))
""",
        "gives the marks": """
def misled(rows, answer):
    marks = [answer(row["statement"], row["question"]) for row in rows]
    return [mark for row, mark in zip(rows, marks) if mark != row["answer"]]
""",
        "asks the other way round": """
def misled(rows, answer):
    found = []
    for row in rows:
        mark = answer(row["question"], row["statement"])
        others = [r["answer"] for r in rows if r["statement"] == row["statement"] and r is not row]
        if mark != row["answer"] and mark in others:
            found.append(row)
    return found
""",
    },
}
