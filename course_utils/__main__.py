"""What is done outside a notebook: ``python -m course_utils COMMAND``; each command is a module of `desk`."""

import argparse
import sys
from importlib import import_module

COMMANDS = {
    "book": "execute the chapters on this machine and render them",
    "record": "execute chapters under several seeds and precisions, and keep the values that they claim",
    "figures": "write the cited figures of all pages from the record",
    "gpu": "run what is owed on a GPU, or pack a kit for a node without internet",
    "fetch": "download all that chapters use, for a class-room's mirror or for this machine",
    "doctor": "say what this machine has, what will be used, and what to do about each fault",
    "students": "make students' copies of the chapters: no solutions, and a check after each answer",
    "assign": "make an assignment of some chapters: students' copies, your version, a rubric",
    "grade": "grade a folder of submissions in a sandbox, and write grades and feedback",
    "publish": "give your copy of the course its own address on GitHub",
}


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="python -m course_utils", description=__doc__.partition(";")[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name, purpose in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=purpose)
        if name in arguments[:1]:  # a command brings only its own libraries
            module = import_module(f"course_utils.desk.{name}")
            module.add_arguments(command)
    options = parser.parse_args(arguments)
    try:
        return module.run(options) or 0
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
