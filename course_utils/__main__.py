"""What is done outside a notebook: ``python -m course_utils COMMAND``; each command is a module of `desk`."""

import argparse
import sys

from course_utils.desk import publish


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m course_utils", description=__doc__.partition(";")[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (publish,):
        module.add_command(commands)
    options = parser.parse_args(arguments)
    try:
        return options.run(options) or 0
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
