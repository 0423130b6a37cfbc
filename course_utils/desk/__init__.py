"""What authors and instructors run: ``python -m course_utils COMMAND``."""
