"""The usual wrong answers to each chapter's exercises: what is wrong → the code a student would write.

Each must be refused.
"""

from importlib import import_module
from pkgutil import iter_modules

CHAPTERS = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
WRONG_ANSWERS = {name: answers for chapter in CHAPTERS for name, answers in chapter.WRONG_ANSWERS.items()}
